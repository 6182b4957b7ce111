"""The graph of a model from one observed run, for models that symbolic tracing cannot follow."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from normscope.errors import InputError
from normscope.generators import generators_kept
from normscope.nn.module_kinds import Layer, layers, norms
from normscope.surgery.tracing.graph import Call, Graph
from normscope.surgery.tracing.inputs import run, tensors

Seen = Callable[[str, nn.Module, Tensor], None]

# Operations whose output is their input.
_SAME = {"clone", "detach", "alias", "lift_fresh"}


def observed_graph(model: nn.Module, x: Any, seen: Seen | None = None) -> Graph:
    """The graph of one run of the model on ``x``, in its current mode.

    The run may change the model's buffers, and hooks are added to the model: pass a copy.

    Args:
        model: any module.
        x: its input; a tuple is its arguments, a mapping its keyword arguments.
        seen: called before each call of a norm, with the norm's name, the norm and its input.

    Raises:
        InputError: if the model returns no tensor.
    """
    watch = _Watch(model)
    for name, module in (*layers(model), *norms(model)):
        watch.add(name, module, None if isinstance(module, Layer) else seen)
    with generators_kept(model), watch:
        output = run(model, x)
    outputs = tuple(watch.value(tensor) for tensor in tensors(output))
    if not outputs:
        raise InputError(f"{type(model).__name__} returned no tensor, but a {type(output).__name__}.")
    return Graph(tuple(watch.calls), outputs, frozenset(watch.read_outside), watch.dims)


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every call of a watched module as one call, and every operation outside them as one."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Call] = []
        self.kept: list[Tensor] = []  # alive, so that no two tensors share an id
        self.values: dict[int, int] = {}
        self.dims: dict[int, int] = {}
        self.read_outside: set[str] = set()
        self.inside = 0
        self.fresh = itertools.count()
        self.owner = {
            id(parameter): name
            for name, module in model.named_modules()
            for parameter in module._parameters.values()
            if parameter is not None
        }

    def add(self, name: str, module: nn.Module, seen: Seen | None) -> None:
        """Watch a module."""
        pending: list[tuple[int, ...]] = []

        def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = list(tensors((args, kwargs)))
            self.inside += 1
            pending.append(tuple(self.value(tensor) for tensor in given))
            if seen is not None and given:
                seen(name, module, given[0].detach())

        def leave(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            self.inside -= 1
            inputs = pending.pop()
            if not self.inside:  # else the call is part of another watched module's
                outputs = tuple(self.renewed(tensor) for tensor in tensors(output))
                self.calls.append(Call(repr(name), name, inputs, outputs))

        module.register_forward_pre_hook(enter, with_kwargs=True)
        module.register_forward_hook(leave, with_kwargs=True)

    def value(self, tensor: Tensor) -> int:
        """The number of a tensor's current value."""
        if id(tensor) not in self.values:
            return self.renewed(tensor)
        return self.values[id(tensor)]

    def renewed(self, tensor: Tensor) -> int:
        """A new number, for a tensor that was just made or changed."""
        if id(tensor) not in self.values:
            self.kept.append(tensor)
        value = self.values[id(tensor)] = next(self.fresh)
        self.dims[value] = tensor.ndim
        return value

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation, and record it unless a watched module runs it."""
        kwargs = kwargs or {}
        if self.inside:
            return func(*args, **kwargs)
        given = list(tensors((args, kwargs)))
        self.read_outside |= {self.owner[id(tensor)] for tensor in given if id(tensor) in self.owner}
        inputs = tuple(self.value(tensor) for tensor in given)
        output = func(*args, **kwargs)
        changed = [
            tensor
            for argument, tensor in zip(func._schema.arguments, args, strict=False)
            if isinstance(tensor, Tensor) and argument.alias_info is not None and argument.alias_info.is_write
        ]
        storages = {tensor.untyped_storage().data_ptr() for tensor in changed}
        sharing = [t for t in self.kept if storages and t.untyped_storage().data_ptr() in storages]
        made = {id(tensor): tensor for tensor in (*tensors(output), *sharing)}
        outputs = tuple(self.renewed(tensor) for tensor in made.values())
        name = func._schema.name.split("::")[-1]
        self.calls.append(Call(name.rstrip("_"), None, inputs, outputs, name in _SAME))
        return output
