"""Running a model once without leaving a trace, and seeing what reaches its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd
from torch.nn.parameter import is_lazy
from torch.utils.hooks import RemovableHandle

from normscope.errors import InputError
from normscope.generators import generators_kept

Seen = Callable[[str, nn.Module, Tensor], None]
"""Called with a layer's name, the layer and its input, each time the layer is about to run."""


def forward(model: nn.Module, x: Any, layers: Mapping[str, nn.Module], seen: Seen) -> None:
    """One forward pass of the model as it is, with ``seen`` called for every call of a layer.

    Parameters, buffers, modes, hooks and random generators are afterwards as before, also when the pass
    fails.

    Args:
        model: any module, in its own training or evaluation mode.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        layers: the layers to watch, by name.
        seen: what to do with each input.

    Raises:
        InputError: the model fails on this input.
    """
    with torch.no_grad(), untouched(model), ExitStack() as hooks:
        for handle in watch(layers, seen):
            hooks.callback(handle.remove)
        call(model, x)


def call(model: nn.Module, x: Any) -> None:
    """Run the model on ``x``: a tuple is its arguments, a mapping its keyword arguments.

    Raises:
        InputError: the model fails on this input.
    """
    try:
        if isinstance(x, Mapping):
            model(**x)
        elif isinstance(x, tuple):
            model(*x)
        else:
            model(x)
    except (RuntimeError, TypeError) as error:
        what = f"of shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"({type(x).__name__})"
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"the model cannot take this input {what}: {reason}") from error


def watch(layers: Mapping[str, nn.Module], seen: Seen) -> Iterator[RemovableHandle]:
    """Put a hook before each layer that hands its input to ``seen``."""
    for name, layer in layers.items():

        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], name: str = name) -> None:
            value = args[0] if args else kwargs.get("input")
            if not isinstance(value, Tensor):
                return
            if isinstance(module, _ConvTransposeNd) and (args[1:] or kwargs.get("output_size") is not None):
                raise InputError(f"layer {name!r} is called with output_size, which cannot be measured.")
            with torch.no_grad():
                seen(name, module, value.detach())

        yield layer.register_forward_pre_hook(hook, with_kwargs=True)


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Whatever happens inside, the model and every random generator come out as they went in."""
    tensors = [
        (slots, name, value, None if value is None else value.detach().clone())
        for slots in _slots(model)
        for name, value in slots.items()
    ]
    modes = [(module, module.training) for module in model.modules()]
    own = [
        (value, value.get_state())
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, torch.Generator)
    ]
    try:
        with generators_kept(model):
            yield
    finally:
        for generator, state in own:
            generator.set_state(state)
        for module, training in modes:
            module.training = training
        with torch.no_grad():
            for slots, name, value, copy in tensors:
                slots[name] = value
                if value is not None and copy is not None:
                    value.copy_(copy)


def _slots(model: nn.Module) -> Iterator[dict[str, Tensor | None]]:
    for module in model.modules():
        if any(value is not None and is_lazy(value) for value in module._parameters.values()):
            raise InputError("the model has lazy layers: run it once before it is measured.")
        yield module._parameters  # type: ignore[misc]
        yield module._buffers
