"""Copies of a model and exchange of its modules, without a trace in the original."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from normscope.errors import InputError


def copied(model: nn.Module) -> nn.Module:
    """A deep copy of the model.

    Raises:
        InputError: for anything but a module, for lazy layers, and for a module that cannot be copied.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"surgery needs a torch.nn.Module, not a {type(model).__name__}.")
    if any(is_lazy(tensor) for tensor in _tensors(model)):
        raise InputError(
            "the model has lazy layers, which do not know their channels yet: run it once before surgery."
        )
    try:
        return copy.deepcopy(model)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"the model {type(model).__name__} cannot be copied: {error}") from error


def exchanged(model: nn.Module, new: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """The model itself, with each key of ``new`` exchanged for its value under all its names.

    If the model is itself a key, its value is returned.
    """
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child is not None and child in new and new[child] is not parent:
                parent._modules[name] = new[child]
    return new.get(model, model)


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
