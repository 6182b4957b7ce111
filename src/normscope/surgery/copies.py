"""Copies of a model and exchange of its modules, without a trace in the original."""

from __future__ import annotations

import copy
import functools
import types
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from normscope.errors import InputError
from normscope.nn.module_kinds import modules, uncompiled
from normscope.nn.plain_attributes import attributes, exchanged_in


def copied(model: nn.Module) -> nn.Module:
    """A deep copy of the model, not compiled.

    Raises:
        InputError: for anything but a module, for lazy layers, for a scripted module with layers or norms, for a
            module whose own ``forward`` refers to the model from outside (the copy would run the original), and for a
            module that cannot be copied.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"surgery needs a torch.nn.Module, not a {type(model).__name__}.")
    if any(is_lazy(tensor) for tensor in _tensors(model)):
        raise InputError(
            "the model has lazy layers, which do not know their channels yet: run it once before surgery."
        )
    _check_code(model)
    # Weights that a hook computes before each call (the older weight_norm), which deepcopy refuses.
    computed = {
        id(value): value.detach().clone()
        for _, module in modules(model)
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    try:
        new = copy.deepcopy(uncompiled(model), computed)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"the model {type(model).__name__} cannot be copied: {error}") from error
    assert isinstance(new, nn.Module)
    for parent in list(new.modules()):
        for name, child in parent._modules.items():
            if child is not None:
                parent._modules[name] = uncompiled(child)
    return new


def with_values(model: nn.Module) -> nn.Module:
    """The model itself, of which the values are needed.

    Raises:
        InputError: for a model on the meta device.
    """
    if any(tensor.is_meta for tensor in _tensors(model)):
        raise InputError(
            f"{type(model).__name__} is on the meta device, which keeps no values, and this operation computes with "
            "the model's: move it with to_empty and load its state first."
        )
    return model


def exchanged(model: nn.Module, new: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """The model itself, with each key of ``new`` exchanged for its value everywhere.

    That is under all its names, and in the plain attributes of modules: containers, objects, bound methods and partial
    calls. If the model is itself a key, its value is returned. The framework's encoder layers read their
    norms' attributes in a fast path that calls no module; the path is switched off where something was exchanged.
    """
    looked_at: set[int] = set()
    for _, parent in list(modules(model)):
        for name, child in parent._modules.items():
            if child is not None and child in new and new[child] is not parent:
                parent._modules[name] = new[child]
        exchanged_in(parent, new, looked_at)
    made = set(new.values())
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoderLayer | nn.TransformerEncoder) and made.intersection(
            module.modules()
        ):
            without_fast_path(module)
    return new.get(model, model)


def without_fast_path(encoder: nn.TransformerEncoder | nn.TransformerEncoderLayer) -> None:
    """Have an encoder (layer) of the framework call its modules in evaluation mode, too."""
    if isinstance(encoder, nn.TransformerEncoderLayer):
        encoder.activation_relu_or_gelu = 0  # tells the fast path that it does not know the activation
    else:
        encoder.use_nested_tensor = False


def device_and_dtype(module: nn.Module, model: nn.Module) -> tuple[torch.device, torch.dtype]:
    """The device and floating-point type of a module's tensors; if it has none, of the model's."""
    for owner in (module, model):
        for tensor in (*owner.parameters(), *owner.buffers()):
            if tensor.is_floating_point():
                return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.get_default_dtype()


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def _check_code(model: nn.Module) -> None:
    """Refuse modules whose code cannot be copied with them."""
    originals = {one for _, one in modules(model)}
    for name, module in modules(model):
        at = f"module {name!r}" if name else "the model"
        if isinstance(module, torch.jit.ScriptModule) and _is_of_interest(module):
            raise InputError(f"{at} is scripted, which fixes its code: do the surgery first, then script.")
        for attribute, value in attributes(module).items():
            if _refers(value, originals):
                raise InputError(
                    f"{at} has a {attribute} of its own that refers to the model from outside (a closure), so a copy "
                    "would run the original: make it a method, or do the surgery first."
                )


def _is_of_interest(scripted: torch.jit.ScriptModule) -> bool:
    names = [getattr(one, "original_name", "") for one in scripted.modules()]
    return any("norm" in name.lower() or name.startswith(("Conv", "Linear")) for name in names)


def _refers(value: Any, originals: set[nn.Module], depth: int = 6) -> bool:
    """Whether code that a deep copy shares with the original refers to one of the original's modules."""
    if isinstance(value, types.MethodType):  # a copy is bound to the copied module
        return _refers(value.__func__, originals, depth)
    if isinstance(value, functools.partial):  # its arguments are copied
        return _refers(value.func, originals, depth)
    if not isinstance(value, types.FunctionType) or not depth:
        return False
    cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
    named = [value.__globals__[name] for name in value.__code__.co_names if name in value.__globals__]
    for item in (*cells, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *named):
        owner = getattr(item, "__self__", item)
        if isinstance(owner, nn.Module) and owner in originals:
            return True
        if isinstance(item, types.FunctionType) and item not in named and _refers(item, originals, depth - 1):
            return True
    return False


def _is_filled(cell: types.CellType) -> bool:
    try:
        return bool(cell.cell_contents) or True
    except ValueError:
        return False
