"""Layers that a model has without calling a module: weights in ``F.linear``, ``F.conv2d``, ``matmul`` and the like.

`WeightUses` sees every operation of a pass. `weights` knows which tensors are weights: the model's parameters, their
views, and whatever is computed from weights and constants alone (a scaled, standardized or cast weight). `uses` says
what an operation is as a layer: a product or a convolution of a weight with data. What happens inside the call of a
layer that hooks watch is left to the hooks.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from normscope.forward_pass import tensors
from normscope.probes.outputs import Outputs
from normscope.probes.uses import LAYERS, Use, uses_of
from normscope.probes.weights import Marks, Weight

_UNREAD = re.compile(
    r"rnn|lstm|gru|_trilinear|_scaled_mm|_scaled_grouped_mm|_int_mm|_cdist|aten\.(linear|matmul)$"
)
"""Operations that multiply weights with data in a way that is not read; the last two are those of nested tensors."""


class WeightUses(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Reports the layers of a pass that are not modules.

    Args:
        model: the model.
        layers: the layers that hooks watch, by name.
        covered: whether the hooks measure a call of a layer with these arguments and keyword arguments.
        found: receives each use before it is computed.
        made: receives each use with its output (channels, values), bias included.
        unread: receives the weight of a layer and the name of an operation that uses it and is not read.
    """

    supports_higher_order_operators = True

    def __init__(
        self,
        model: nn.Module,
        layers: Mapping[str, nn.Module],
        *,
        covered: Callable[[nn.Module, tuple[Any, ...], Mapping[str, Any]], bool] = lambda *call: True,
        found: Callable[[Use], None] = lambda use: None,
        made: Callable[[Use, Tensor], None] = lambda use, output: None,
        unread: Callable[[Weight, str], None] = lambda weight, operation: None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.layers = list(layers.values())
        self.covered, self.found, self.unread = covered, found, unread
        self.marks = Marks(model)
        self.outputs = Outputs(self.marks, made)
        self.active: list[nn.Module | None] = []
        self.waiting: list[Callable[[], None]] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Else torch imports its compiler, which takes seconds. This mode never sees compiled code.
        return False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """A context in which the operations of the model are seen."""
        with ExitStack() as hooks:
            for layer in self.layers:
                enter = layer.register_forward_pre_hook(self._enter, with_kwargs=True)
                hooks.callback(enter.remove)
                hooks.callback(layer.register_forward_hook(self._leave, always_call=True).remove)
            with self:
                yield
            self._catch_up()
            self.outputs.finish()

    def later(self, work: Callable[[], None]) -> None:
        """Do this work before the next operation, unseen: what a hook computes is not the model's."""
        self.waiting.append(work)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation, and report it if it is the call of a layer."""
        kwargs = kwargs or {}
        operation = getattr(func, "overloadpacket", None)
        self._catch_up()
        self.outputs.before(operation, args)
        # In the call of a layer, a hook reads the input or the output. In a backward pass (of a model whose forward
        # computes gradients), weights multiply gradients.
        in_layer = bool(self.active) and self.active[-1] is not None
        if in_layer or torch._C._current_graph_task_id() >= 0:
            return func(*args, **kwargs)
        if _is_composite(func) and not any(tensor.is_nested for tensor in tensors(args)):
            with self:  # F.linear on inference tensors, say: see the operations that it consists of
                return func.decompose(*args, **kwargs)
        uses = uses_of(operation, args, kwargs, self.marks) if operation in LAYERS else []
        with torch.no_grad():
            for use in uses:
                self.found(use)
        output = func(*args, **kwargs)
        self.marks.follow((args, kwargs), output, layer=bool(uses))
        self.outputs.after(operation, args, output)
        for use in uses:
            self.outputs.add(use, output)
        if _is_unread(operation):
            self._name(str(operation), args)
        return output

    def _catch_up(self) -> None:
        if self.waiting:
            with torch.no_grad():
                while self.waiting:
                    self.waiting.pop(0)()

    def _name(self, operation: str, args: tuple[Any, ...]) -> None:
        for tensor in tensors(args):
            weight = self.marks.weight(tensor)
            if weight is not None and tensor.ndim > 1:
                self.unread(weight, operation)

    def _enter(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.active.append(layer if self.covered(layer, args, kwargs) else None)

    def _leave(self, layer: nn.Module, args: Any, output: Any) -> None:
        self.active.pop()


@functools.cache
def _is_composite(func: Any) -> bool:
    composite = torch._C.DispatchKey.CompositeImplicitAutograd
    return isinstance(func, torch._ops.OpOverload) and func.has_kernel_for_dispatch_key(composite)


@functools.cache
def _is_unread(operation: Any) -> bool:
    return bool(_UNREAD.search(str(operation)))
