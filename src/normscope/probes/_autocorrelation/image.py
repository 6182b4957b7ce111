"""Some examples at a time, laid out so that a lagged view of them is a plain matrix."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from normscope.probes._autocorrelation.lags import Lag
from normscope.probes._autocorrelation.plan import Plan


class Image:
    """One part of the batch, as the matrices that a plan multiplies.

    The dimensions that go by lags keep their pixels, the others are unfolded. There is a matrix for each pixel of the
    lagged dimensions but the last. Its rows are the channels and unfolded taps. Its columns are the pixels of the last
    lagged dimension, and for each pixel all examples and unfolded positions. So a range of pixels is a range of
    columns, whatever the batch.

    If a dimension is stacked, a pixel's rows are neighbours in memory and the next pixel along that dimension follows:
    neighbouring pixels are one longer vector. The dimension's padding is stored as zeros behind it: it is also the
    padding before the next column's pixels, as no padding is wider before than behind. A vector that reaches beyond the
    padding reads pixels of another column; these products belong to no pair of taps.

    Attributes:
        matrices: (*size of the lagged dimensions but the last, rows, columns).

    Args:
        plan: the plan.
        like: a tensor of the type and on the device of the matrices.
    """

    def __init__(self, plan: Plan, like: Tensor) -> None:
        self.plan = plan
        self.matrices = self._room = self._store = like.new_empty(0)
        self._form: tuple[object, ...] = ()
        self._source: tuple[torch.Size, tuple[int, ...]] = torch.Size(), ()
        self._stride = plan.strides[-1] if plan.lags else 1
        self._pixels = plan.size[plan.depth - 1] if 0 < plan.depth == len(plan.lags) else 1

    def load(self, x: Tensor) -> None:
        """Replace the examples by others, (B, C, *size)."""
        x = self._prepared(x)
        if self._form != (x.shape, x.stride()):
            self._arrange(x)
        self._room.copy_(x.as_strided(*self._source, x.storage_offset()))

    def columns(self, lag: Lag, segment: tuple[int, int]) -> tuple[slice, slice]:
        """The columns of the left and of the right pixels of a segment of the last lagged dimension."""
        other = (lag.phase + lag.shift) % self._stride
        left = self._first(lag.phase)
        right = self._first(other) + (lag.phase + lag.shift - other) // self._stride
        n = self.matrices.shape[-1] // self._pixels
        first, last = (q * n for q in segment)
        return slice(left * n + first, left * n + last), slice(right * n + first, right * n + last)

    def _first(self, phase: int) -> int:
        """The place of the first pixel of a phase: the pixels of each phase follow those of the phase before."""
        return sum(-(-(self._pixels - before) // self._stride) for before in range(phase))

    def _prepared(self, x: Tensor) -> Tensor:
        """The examples with the last lagged dimension sorted by phase and with the unfolded dimensions padded."""
        plan = self.plan
        if self._stride > 1:
            pixels = [u for phase in range(self._stride) for u in range(phase, self._pixels, self._stride)]
            x = x.index_select(1 + plan.depth, torch.tensor(pixels, device=x.device))
        x = plan.unfolded.pad(x)
        if plan.unfolded.dims and plan.stacks:  # copying is faster if the channels of a pixel are neighbours
            x = x.movedim(1, -1).contiguous().movedim(-1, 1)
        return x

    def _arrange(self, x: Tensor) -> None:
        """Make room for examples of this form, with zeros where the padding of the stacked dimension is stored."""
        plan, leading = self.plan, max(len(self.plan.lags) - 1, 0)
        windows = plan.unfolded.windows(x)
        lagged, taps = range(2, 2 + plan.depth), range(x.ndim, windows.ndim)
        columns = (*lagged[leading:], 0, *range(2 + plan.depth, x.ndim))
        if plan.stacks:
            order = (*lagged[: leading - 1], *columns, lagged[leading - 1], *taps, 1)
        else:
            order = (*lagged[:leading], 1, *taps, *columns)
        values = windows.permute(order)
        self._form, self._source = (x.shape, x.stride()), (values.shape, values.stride())

        shape, stacked = list(values.shape), values.ndim - len(taps) - 2
        shape[stacked] += plan.zeros
        size, beyond = math.prod(shape), plan.reach * plan.width
        if len(self._store) < size + 2 * beyond:
            self._store = self._store.new_empty(size + 2 * beyond)
        image = self._store[beyond : beyond + size].view(shape)
        self._room, padding = torch.split(image, [values.shape[stacked], plan.zeros], stacked)
        padding.zero_()
        if plan.stacks:
            self.matrices = self._room.flatten(stacked + 1).flatten(leading - 1, stacked - 1).movedim(-3, -1)
        else:
            self.matrices = self._room.flatten(leading, leading + len(taps)).flatten(leading + 1)
