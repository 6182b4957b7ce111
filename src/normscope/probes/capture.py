"""One forward pass that leaves no trace, and hooks that read what reaches a model's layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel
from torch.nn.parallel.scatter_gather import scatter_kwargs
from torch.utils._python_dispatch import is_traceable_wrapper_subclass
from torch.utils._pytree import tree_map
from torch.utils.hooks import RemovableHandle

from normscope.errors import InputError, NormscopeError
from normscope.forward_pass import arguments, module_by_module
from normscope.nn import module_kinds
from normscope.probes.snapshot import untouched

Seen = Callable[[str, nn.Module, Tensor], None]
"""Called with a layer's name, the layer and its input, each time before the layer runs."""


def named(model: nn.Module) -> dict[str, nn.Module]:
    """Every module under every name that it has: as in ``model.named_modules()``, and those in plain lists.

    Raises:
        InputError: the model is not a module.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module, not {type(model).__name__}.")
    return dict(model.named_modules(remove_duplicate=False)) | dict(module_kinds.modules(model))


def checked_names(layers: Iterable[str]) -> list[str]:
    """The names in ``layers``, which may be a single name.

    Raises:
        InputError: a name is not a string.
    """
    names = [layers] if isinstance(layers, str) or not isinstance(layers, Iterable) else list(layers)
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"layers must be names of layers, not {name!r}.")
    return names


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
    with alone(model), ExitStack() as hooks:
        for handle in watch(layers, seen):
            hooks.callback(handle.remove)
        call(model, x)


@contextmanager
def alone(model: nn.Module) -> Iterator[None]:
    """A context for one pass that leaves no trace: no gradients, everything eager, the model afterwards as before."""
    with torch.no_grad(), module_by_module(), untouched(model):
        yield


def call(model: nn.Module, x: Any) -> None:
    """Run the model on ``x`` as :func:`output_of` does."""
    output_of(model, x)


def output_of(model: nn.Module, x: Any) -> Any:
    """The model's output on ``x``; a tuple is passed as its arguments and a mapping as its keyword arguments.

    The model gets copies, so that one that writes into its input, such as a ReLU in place, changes none of the
    caller's. The module inside ``torch.compile``, ``DataParallel`` or ``DistributedDataParallel`` is run itself: one
    process alone can measure it, on one device.

    Raises:
        InputError: the model fails on this input.
    """
    args, kwargs = copied(arguments(x))
    if isinstance(model, DataParallel) and model.device_ids:
        scattered = scatter_kwargs(args, kwargs, [model.device_ids[0]])
        args, kwargs = scattered[0][0], scattered[1][0]
    try:
        return module_kinds.unwrapped(model)(*args, **kwargs)
    except NormscopeError:
        raise
    except Exception as error:  # a user's model may raise anything
        shaped = isinstance(x, Tensor) and not x.is_nested
        what = f"of shape {tuple(x.shape)}" if shaped else f"({type(x).__name__})"
        reason = (str(error).strip().splitlines() or [""])[0]
        if type(error) not in (RuntimeError, TypeError) or not reason:  # what torch raises explains itself
            reason = f"{type(error).__name__}: {reason}".removesuffix(": ")
        raise InputError(f"the model cannot take this input {what}: {reason}") from error


def copied(value: Any) -> Any:
    """A batch, in nested tuples, lists and dictionaries, with copies of its tensors; the same tensor stays the same."""
    copies: dict[int, Tensor] = {}

    def copy(leaf: Any) -> Any:
        return copies.setdefault(id(leaf), leaf.clone()) if isinstance(leaf, Tensor) else leaf

    return tree_map(copy, value)


def is_quantized(module: nn.Module) -> bool:
    """Whether a module is a quantized layer of torch's, whose weight is packed and no parameter."""
    home = type(module).__module__
    return (
        home.startswith("torch.")
        and ".quantized" in home
        and not module_kinds.is_layer(module)
        and (hasattr(module, "in_features") or hasattr(module, "in_channels"))
    )


def first_tensor(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
    """The first argument that is a tensor, positional or not."""
    return next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)


def is_wrapped(value: object) -> bool:
    """Whether a tensor stands for others inside ``torch.vmap`` or ``torch.func``, so that its values cannot be read."""
    return isinstance(value, Tensor) and torch._C._functorch.is_functorch_wrapped_tensor(value)


def readable(value: Tensor) -> Tensor:
    """A tensor as an ordinary one: a sparse or quantized one in full, of nested vectors one after another."""
    if value.is_nested:
        return torch.cat([example.reshape(-1, example.shape[-1]) for example in value.unbind()])
    if value.is_quantized:
        return value.dequantize()
    return value if value.layout == torch.strided else value.to_dense()


def unreadable(value: Tensor) -> str:
    """Why the values of a tensor cannot be measured; empty if they can."""
    if is_traceable_wrapper_subclass(value):
        return f"a {type(value).__name__}, which is not read"
    return "complex, which is not read" if value.is_complex() else ""


def watch(layers: Mapping[str, nn.Module], seen: Seen) -> Iterator[RemovableHandle]:
    """Register a hook before each layer that passes its input, the first tensor among its arguments, to ``seen``."""
    for name, layer in layers.items():

        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], name: str = name) -> None:
            value = first_tensor(args, kwargs)
            if value is not None:
                with torch.no_grad():
                    seen(name, module, value.detach())

        yield layer.register_forward_pre_hook(hook, with_kwargs=True)
