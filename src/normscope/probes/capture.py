"""One forward pass that leaves no trace, and hooks that read what reaches a model's layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.hooks import RemovableHandle

from normscope.errors import InputError, UnknownNameError
from normscope.generators import generators_kept
from normscope.nn import module_kinds

Seen = Callable[[str, nn.Module, Tensor], None]
"""Called with a layer's name, the layer and its input, each time before the layer runs."""


def chosen_modules(
    model: nn.Module, layers: Iterable[str] | None, measured: Callable[[nn.Module], bool]
) -> dict[str, nn.Module]:
    """The modules to measure, by name: the modules named in ``layers``, or by default all that are ``measured``.

    Raises:
        InputError: the model is not a module, or a name is not a string.
        UnknownNameError: the model has no module of this name.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module, not {type(model).__name__}.")
    if layers is None:
        return {name: module for name, module in model.named_modules() if measured(module)}
    modules = dict(model.named_modules(remove_duplicate=False))
    chosen = {}
    for name in [layers] if isinstance(layers, str) or not isinstance(layers, Iterable) else layers:
        if not isinstance(name, str):
            raise InputError(f"layers must be names of layers, not {name!r}.")
        if name not in modules:
            known = [other for other, module in modules.items() if measured(module)]
            raise UnknownNameError("layer", name, known)
        chosen[name] = modules[name]
    return chosen


def forward(model: nn.Module, x: Any, layers: Mapping[str, nn.Module], seen: Seen) -> None:
    """Run the model once, in the mode it is in, and call ``seen`` at every call of a layer.

    Parameters, buffers, modes, hooks and random generators are afterwards as before, also if the pass fails.

    Args:
        model: any module.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        layers: the layers to watch, by name.
        seen: receives each input.

    Raises:
        InputError: the model fails on this input.
    """
    with torch.no_grad(), untouched(model), ExitStack() as hooks:
        for handle in watch(layers, seen):
            hooks.callback(handle.remove)
        call(model, x)


def call(model: nn.Module, x: Any) -> None:
    """Run the model on ``x``; a tuple is passed as its arguments and a mapping as its keyword arguments.

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
    """Register a hook before each layer that passes its input to ``seen``."""
    for name, layer in layers.items():

        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], name: str = name) -> None:
            value = args[0] if args else kwargs.get("input")
            if not isinstance(value, Tensor):
                return
            if isinstance(module, module_kinds.Transposed) and (
                args[1:] or kwargs.get("output_size") is not None
            ):
                raise InputError(f"layer {name!r} is called with output_size, which cannot be measured.")
            with torch.no_grad():
                seen(name, module, value.detach())

        yield layer.register_forward_pre_hook(hook, with_kwargs=True)


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """A context after which the model and every random generator are as before, whatever happens inside."""
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
