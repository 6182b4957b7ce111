"""A context that leaves a model and every random generator as they were."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from normscope.errors import InputError
from normscope.generators import generators_kept
from normscope.nn import module_kinds

_TABLES = ("_parameters", "_buffers", "_modules")


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """A context after which the model and every random generator are as before, whatever happens inside.

    Restored are the attributes of every module (parameters, buffers, modes, hooks, counters, caches), the values of its
    tensors, their ``grad`` and whether they require one, and the state of its generators. Values inside lists and
    objects that a module holds are not.

    Raises:
        InputError: the model is no module, or has lazy layers that never ran, or parameters on the meta device.
    """
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module, not {type(model).__name__}.")
    modules = list(every_module(model))
    attributes = [(module, dict(vars(module))) for module in modules]
    tables = [(table, dict(table)) for module in modules for table in _tables(module)]
    held = [value for _, saved in (*attributes, *tables) for value in saved.values()]
    if any(isinstance(value, Tensor) and is_lazy(value) for value in held):
        raise InputError("the model has lazy layers: run it once before it is measured.")
    if any(isinstance(value, nn.Parameter) and value.is_meta for value in held):
        raise InputError("the model is on the meta device, which keeps no values to measure.")
    tensors = list({id(value): value for value in held if isinstance(value, Tensor)}.values())
    values = _Values(tensors)
    generators = [(value, value.get_state()) for value in held if isinstance(value, torch.Generator)]
    gradients = _Gradients(tensors)
    try:
        with generators_kept(model):
            yield
    finally:
        for generator, state in generators:
            generator.set_state(state)
        for module, saved in attributes:
            _restore(vars(module), saved)
        for table, saved in tables:
            _restore(table, saved)
        values.restore()
        gradients.restore()


def every_module(model: nn.Module) -> Iterator[nn.Module]:
    """Every module of a model once, with those in plain lists and those that compute parametrized tensors."""
    found = dict.fromkeys(model.modules())
    for _, module in module_kinds.modules(model):
        if module not in found:
            found.update(dict.fromkeys(module.modules()))
    return iter(found)


def _tables(module: nn.Module) -> Iterator[Any]:
    for name in _TABLES:
        yield getattr(module, name)
    yield from (value for name, value in vars(module).items() if "_hooks" in name and isinstance(value, dict))


def _restore(now: Any, saved: dict[str, Any]) -> None:
    """Bind every name again to its object, in the old order; nothing is written if nothing changed."""
    if list(now.keys()) != list(saved):  # never so for a scripted module, whose tables cannot be cleared
        now.clear()
    for name, value in saved.items():
        if name not in now.keys() or now[name] is not value:  # noqa: SIM118
            now[name] = value


@dataclasses.dataclass(frozen=True)
class _Memory:
    """A block of memory and a copy of its bytes."""

    storage: torch.UntypedStorage
    live: Tensor
    copy: Tensor

    @classmethod
    def of(cls, storage: torch.UntypedStorage) -> _Memory:
        live = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
        return cls(storage, live, live.clone())

    def restore(self) -> None:
        """Write the bytes back if they changed: the memory may be read-only, or saved for a backward pass."""
        if self.storage.nbytes() < len(self.copy):
            self.storage.resize_(len(self.copy))
        if not torch.equal(self.live, self.copy):
            self.live.copy_(self.copy)


class _Values:
    """The values of tensors: their memory by blocks, so that views, expanded and quantized tensors are alike."""

    def __init__(self, tensors: list[Tensor]) -> None:
        parts = [part for tensor in tensors for part in _dense_parts(tensor)]
        self.layouts = [(part, part.detach()) for part in parts]
        storages = {part.untyped_storage().data_ptr(): part.untyped_storage() for part in parts}
        self.memories = [_Memory.of(storage) for storage in storages.values()]

    def restore(self) -> None:
        """Give every tensor its memory, its shape and its values back."""
        for tensor, alias in self.layouts:
            if _layout(tensor) != _layout(alias):
                with torch.inference_mode(tensor.is_inference()):
                    tensor.data = alias
        for memory in self.memories:
            memory.restore()


class _Gradients:
    """The ``grad`` of the leaves among tensors, put aside so that nothing is added to it, and whether they need one."""

    def __init__(self, tensors: list[Tensor]) -> None:
        leaves = [tensor for tensor in tensors if tensor.is_leaf]
        self.saved = [(leaf, leaf.grad, leaf.requires_grad) for leaf in leaves]
        for leaf in leaves:
            if leaf.grad is not None:
                leaf.grad = None

    def restore(self) -> None:
        """Give every leaf back what it held."""
        for leaf, gradient, requires_grad in self.saved:
            if leaf.requires_grad != requires_grad:
                leaf.requires_grad_(requires_grad)
            if leaf.grad is not gradient:
                leaf.grad = gradient


def _layout(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), tensor.shape, tensor.stride()


def _dense_parts(tensor: Tensor) -> Iterator[Tensor]:
    """The tensors with memory of their own that a tensor consists of: itself, or the parts of a sparse one."""
    if is_traceable_wrapper_subclass(tensor):
        parts = [getattr(tensor, name) for name in tensor.__tensor_flatten__()[0]]
    elif tensor.layout == torch.sparse_coo:
        parts = [tensor._indices(), tensor._values()]
    elif tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        parts = [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        parts = [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]
    elif tensor.layout == torch.strided and not tensor.is_meta and tensor.untyped_storage().nbytes():
        yield tensor
        return
    else:
        return
    for part in parts:
        yield from _dense_parts(part)
