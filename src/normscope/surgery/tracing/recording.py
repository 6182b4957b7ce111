"""The record of one run: every operation outside layers and norms, and every call of these."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from normscope.forward_pass import tensors
from normscope.nn.module_kinds import layers, modules, norms
from normscope.surgery.tracing.graph import Call, Place, norm_function, with_weights_of

Seen = Callable[[str, nn.Module, Tensor], None]

# Operations whose output is their input.
_SAME = {"clone", "detach", "alias", "lift_fresh"}

# Methods by which values leave torch, which the dispatcher does not see.
_LEAVE = {"tolist", "numpy", "__array__", "__dlpack__"}

# The output, or its shape, depends on values: an ``if`` or a loop in the model's code may depend on them.
_PRODUCTS = frozenset(
    ("mm", "addmm", "bmm", "baddbmm", "mv", "convolution", "_grouped_mm", "linear", "matmul")
)
_DEPENDS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every call of a watched module as one call, and every operation outside them as one.

    Args:
        model: a copy of the model; its layers and norms are watched by hooks, which stay on it.
        seen: called before each call of a norm, with the norm's name, the norm and its input.
    """

    def __init__(self, model: nn.Module, seen: Seen | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Call] = []
        self.dims: dict[int, int] = {}
        self.read_outside: set[str] = set()
        self.functional_norms: dict[Place, None] = {}
        self.looks: Place | None = None
        self.functions = _Functions(self)
        # By what they share and by id; alive, so that no two tensors share either.
        self._by_storage: dict[int, dict[int, Tensor]] = {}
        self._values: dict[int, int] = {}
        self._from_input: set[int] = set()
        self._weights: dict[int, str] = {}  # ids of the tensors of watched modules, and of their views
        self._matrices: dict[int, str] = {}  # those of the other modules, and their views
        self._inside = 0
        self._at = [""]
        self._fresh = itertools.count()
        for name, module in modules(model):
            self._follow(name, module)
            self._own_matrices(name, module)
        for name, layer in layers(model):
            self._watch(name, layer, None)
        for name, norm in norms(model):
            self._watch(name, norm, seen)

    def add_inputs(self, given: Iterable[Tensor]) -> None:
        """Name the tensors of the model's input, so that operations on values that depend on them are known."""
        for tensor in given:
            self._keep(tensor)
            self._from_input.add(id(tensor))

    def value(self, tensor: Tensor) -> int:
        """The number of a tensor's current value."""
        return self._values[id(tensor)] if id(tensor) in self._values else self._renewed(tensor)

    def named_norm(self, operation: str) -> bool:
        """Whether the operation is a norm, which is then recorded if no watched module calls it."""
        norm = norm_function(operation)
        if norm and not self._inside:
            self.functional_norms[Place(norm, self._at[-1])] = None
        return norm is not None

    def left(self, method: str, tensor: Tensor) -> None:
        """Record that the values of a tensor leave torch."""
        if not self._inside:
            self.calls.append(Call(method, None, (self.value(tensor),), ()))
        if id(tensor) in self._from_input:
            self._look(method)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation, and record it unless a watched module runs it."""
        kwargs = kwargs or {}
        given = list(tensors((args, kwargs)))
        inputs = () if self._inside else tuple(self.value(tensor) for tensor in given)
        output = func(*args, **kwargs)
        name = func._schema.name.split("::")[-1]
        changed = [
            tensor
            for argument, tensor in zip(func._schema.arguments, args, strict=False)
            if isinstance(tensor, Tensor) and argument.alias_info is not None and argument.alias_info.is_write
        ]
        storages = {_storage(tensor) for tensor in changed}
        sharing = [t for storage in storages for t in self._by_storage.get(storage, {}).values()]
        made = {id(tensor): tensor for tensor in (*tensors(output), *sharing)}
        self._trace_input(name, func.tags, given, made)
        if self._inside:
            return output
        label = self._read(name, given, made)
        outputs = tuple(self._renewed(tensor) for tensor in made.values())
        self.calls.append(Call(label, None, inputs, outputs, name in _SAME))
        if not self.functions.in_norm:
            self.named_norm(name)
        return output

    def _trace_input(
        self, name: str, tags: Iterable[torch.Tag], given: list[Tensor], made: dict[int, Tensor]
    ) -> None:
        """Find out whether the operation depends on the model's input, and whether it looks at its values."""
        depending = [tensor for tensor in given if id(tensor) in self._from_input]
        if not depending:
            return
        for tensor in made.values():
            self._keep(tensor)
            self._from_input.add(id(tensor))
        by_mask = name != "index" or any(tensor.dtype in (torch.bool, torch.uint8) for tensor in depending)
        if _DEPENDS.intersection(tags) and by_mask:
            self._look("item" if name == "_local_scalar_dense" else name.strip("_"))

    def _read(self, name: str, given: list[Tensor], made: dict[int, Tensor]) -> str:
        """Note whose weights the operation reads, and return its label."""
        label = name.rstrip("_")
        owners = {self._weights[id(tensor)]: None for tensor in given if id(tensor) in self._weights}
        self.read_outside.update(owners)
        if not owners:
            self._multiply(label, given, made)
            return label
        if len(owners) == 1 and all(id(tensor) in self._weights for tensor in given):
            for tensor in made.values():
                self._keep(tensor)
                self._weights[id(tensor)] = next(iter(owners))
        return with_weights_of(label, next(iter(owners)))

    def _multiply(self, label: str, given: list[Tensor], made: dict[int, Tensor]) -> None:
        """Note whose matrices the operation multiplies with data, as attention does with its input projection."""
        owners = {self._matrices[id(tensor)]: None for tensor in given if id(tensor) in self._matrices}
        if label in _PRODUCTS:
            self.read_outside.update(owners)
        elif len(owners) == 1 and all(id(tensor) in self._matrices for tensor in given):
            for tensor in made.values():
                self._keep(tensor)
                self._matrices[id(tensor)] = next(iter(owners))

    def _look(self, operation: str) -> None:
        if self.looks is None:
            self.looks = Place(operation, self._at[-1])

    def _keep(self, tensor: Tensor) -> None:
        self._by_storage.setdefault(_storage(tensor), {})[id(tensor)] = tensor

    def _renewed(self, tensor: Tensor) -> int:
        """A new number, for a tensor that was just made or changed."""
        self._keep(tensor)
        value = self._values[id(tensor)] = next(self._fresh)
        self.dims[value] = tensor.ndim
        return value

    def _follow(self, name: str, module: nn.Module) -> None:
        """Know in which module the run is."""
        if isinstance(module, torch.jit.ScriptModule):  # takes no hooks
            return

        def enter(module: nn.Module, args: Any) -> None:
            self._at.append(name)

        def leave(module: nn.Module, args: Any, output: Any) -> None:
            self._at.pop()

        module.register_forward_pre_hook(enter)
        module.register_forward_hook(leave)

    def _own_matrices(self, name: str, module: nn.Module) -> None:
        for parameter in module.parameters(recurse=False):
            if parameter.ndim > 1:
                self._keep(parameter)
                self._matrices[id(parameter)] = name

    def _watch(self, name: str, module: nn.Module, seen: Seen | None) -> None:
        for tensor in (*module.parameters(), *module.buffers()):
            self._keep(tensor)
            self._weights[id(tensor)] = name
        pending: list[tuple[int, ...]] = []

        def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = list(tensors((args, kwargs)))
            self._inside += 1
            pending.append(tuple(self.value(tensor) for tensor in given))
            if seen is not None and given:
                with torch._C.DisableTorchFunction(), _disable_current_modes():  # not a part of the run
                    seen(name, module, given[0].detach())

        def leave(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            self._inside -= 1
            inputs = pending.pop()
            if not self._inside:  # else the call is part of another watched module's
                outputs = tuple(self._renewed(tensor) for tensor in tensors(output))
                self.calls.append(Call(repr(name), name, inputs, outputs))

        module.register_forward_pre_hook(enter, with_kwargs=True)
        module.register_forward_hook(leave, with_kwargs=True)


def _storage(tensor: Tensor) -> int:
    """What tensors share if a change of one changes the other."""
    return tensor.untyped_storage().data_ptr() if tensor.layout is torch.strided else id(tensor)


class _Functions(TorchFunctionMode):
    """Sees what the dispatcher does not: functions that it knows by their parts only, and values that leave torch."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder
        self.in_norm = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one function."""
        name = getattr(func, "__name__", "")
        if name in _LEAVE and args and isinstance(args[0], Tensor):
            self.recorder.left(name, args[0])
        is_norm = self.recorder.named_norm(name)
        self.in_norm += is_norm
        output = func(*args, **(kwargs or {}))
        self.in_norm -= is_norm
        return output
