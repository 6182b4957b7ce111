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

from normscope.probes.uses import LAYERS, PRODUCTS, Use, uses_of
from normscope.probes.weights import Marks, Weight, tensors

_VIEWS = (torch.ops.aten.view, torch.ops.aten._unsafe_view)
_SUMS = (torch.ops.aten.add, torch.ops.aten.add_)
_UNREAD = re.compile(r"rnn|lstm|gru|_trilinear|_scaled_mm|_scaled_grouped_mm|_int_mm|_cdist")
"""Operations that multiply weights with data in a way that is not read."""


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
        self.covered, self.found, self.made, self.unread = covered, found, made, unread
        self.marks = Marks(model)
        self.active: list[nn.Module | None] = []
        self.waiting: list[Callable[[], None]] = []
        self.pending: tuple[Use, Tensor] | None = None

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return (
            False  # else torch imports its compiler, which takes seconds; this mode never sees compiled code
        )

    @contextmanager
    def watching(self) -> Iterator[None]:
        """A context in which the operations of the model are seen."""
        with ExitStack() as hooks:
            for layer in self.layers:
                enter = layer.register_forward_pre_hook(self._enter, prepend=True, with_kwargs=True)
                hooks.callback(enter.remove)
                hooks.callback(layer.register_forward_hook(self._leave, always_call=True).remove)
            with self:
                yield
            self._catch_up(None, ())

    def later(self, work: Callable[[], None]) -> None:
        """Do this work before the next operation, unseen: what a hook computes is not the model's."""
        self.waiting.append(work)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation, and report it if it is the call of a layer."""
        kwargs = kwargs or {}
        operation = getattr(func, "overloadpacket", None)
        if self.waiting or self.pending:
            self._catch_up(operation, args)
        if self.active and self.active[-1] is not None:
            return func(*args, **kwargs)  # in the call of a layer that hooks measure
        if torch.is_inference_mode_enabled() and operation is not None:
            with self:  # F.linear and the like come whole here: see the operations that they consist of
                output = func.decompose(*args, **kwargs)
            if output is not NotImplemented:
                return output
        uses = uses_of(operation, args, kwargs, self.marks) if operation in LAYERS else []
        if uses:
            with torch.no_grad():
                for use in uses:
                    self.found(use)
        output = func(*args, **kwargs)
        self.marks.follow((args, kwargs), output, product=operation in PRODUCTS, layer=bool(uses))
        for use in uses:
            self.pending = (use, output)
            if not use.bias_follows:
                self._complete()
        if uses:
            return output
        if self.pending is not None:
            self.pending = (self.pending[0], output)
            if operation in _SUMS:
                self._complete()
        elif _is_unread(operation):
            self._name(str(operation), args)
        return output

    def _catch_up(self, operation: Any, args: tuple[Any, ...]) -> None:
        """Do what waits for the next operation."""
        with torch.no_grad():
            while self.waiting:
                self.waiting.pop(0)()
        if self.pending is not None and not self._continues(*self.pending, operation, args):
            self._complete()

    def _continues(self, use: Use, output: Tensor, operation: Any, args: tuple[Any, ...]) -> bool:
        """Whether an operation brings an output nearer to what ``F.linear`` returns: a view, or the bias's sum."""
        if not args or args[0] is not output:
            return False
        return operation in _VIEWS or (
            operation in _SUMS and use.is_bias(self.marks.weight(args[1]), args[1])
        )

    def _complete(self) -> None:
        assert self.pending is not None
        use, output = self.pending
        self.pending = None
        with torch.no_grad():
            self.made(use, use.channels(output))

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
def _is_unread(operation: Any) -> bool:
    return bool(_UNREAD.search(str(operation)))
