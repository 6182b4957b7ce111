"""The outputs of layers that are not modules, each with the bias that the model adds to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from normscope.forward_pass import tensors
from normscope.probes.uses import LAYERS, Use
from normscope.probes.weights import Marks

_aten = torch.ops.aten
_VIEWS = (_aten.view, _aten._unsafe_view, _aten.squeeze, _aten.squeeze_, _aten.unsqueeze)
_SUMS = (_aten.add, _aten.add_)


class Outputs:
    """Reports the output of each use, after its bias is added.

    ``F.linear`` is often a product, a view and a sum. An output waits for its bias through such operations, and is
    reported without one before anything else is done with it.

    Args:
        marks: which tensors are weights.
        made: receives each use and its output (channels, values).
    """

    def __init__(self, marks: Marks, made: Callable[[Use, Tensor], None]) -> None:
        self.marks = marks
        self.made = made
        self.waiting: tuple[Use, Tensor] | None = None

    def add(self, use: Use, output: Tensor) -> None:
        """Take the output of a use."""
        if use.bias_follows is None:
            self._report(use, output)
        else:
            self.waiting = (use, output)

    def before(self, operation: Any, args: Sequence[Any]) -> None:
        """Report the waiting output if this operation is not a step towards its bias."""
        if self.waiting is None:
            return
        touched = any(tensor is self.waiting[1] for tensor in tensors(args))
        if operation in LAYERS or (touched and not self._continues(operation, args)):
            self.finish()

    def after(self, operation: Any, args: Sequence[Any], result: Any) -> None:
        """Take the result of an operation in place of the output from which it was made."""
        if self.waiting is None or not any(tensor is self.waiting[1] for tensor in tensors(args)):
            return
        use = self.waiting[0]
        keeps = use.bias_follows is not None and use.bias_follows(result)
        if keeps:
            self.waiting = (use, result)
        if not keeps:
            self.finish()

    def finish(self) -> None:
        """Report the waiting output as it is."""
        if self.waiting is not None:
            use, output = self.waiting
            self.waiting = None
            self._report(use, output)

    def _continues(self, operation: Any, args: Sequence[Any]) -> bool:
        assert self.waiting is not None
        use, output = self.waiting
        if operation in _SUMS:
            others = [other for other in args[:2] if other is not output]
            return len(others) == 1 and use.is_bias(self.marks.weight(others[0]))
        return operation in _VIEWS

    def _report(self, use: Use, output: Tensor) -> None:
        with torch.no_grad():
            self.made(use, use.channels(output))
