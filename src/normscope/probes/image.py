"""An input laid out so that a lagged view of it is a plain matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from normscope.probes.geometry import Geometry
from normscope.probes.overlap import Lag

LINE = 64
"""Bytes of a cache line."""


class Image:
    """The batch as one image whose pixels are the vectors that are multiplied.

    The leading ``depth`` spatial dimensions keep their pixels. The others are unfolded, so that each channel and
    offset is a channel of its own. The last lagged dimension, the unfolded positions and the batch lie behind one
    another: a range of pixels of that dimension is a range of columns, whatever the batch.

    Attributes:
        rows: (*lagged size without the last, channels, columns); with depth 0, (channels, columns).
        n: columns of one pixel.
        front: rows of zeros before the last leading dimension; `spare` stand behind it.

    Args:
        x: (B, C, *size).
        geometry: the convolution of one group, zero-padded.
        depth: how many dimensions keep their pixels.
        spare: rows of zeros behind the last leading dimension, so that a view of rows may reach past the last.
        front: rows of zeros before it.
    """

    def __init__(self, x: Tensor, geometry: Geometry, depth: int, spare: int = 0, front: int = 0) -> None:
        self.strides, self.pixels, self.front = geometry.stride[:depth], x.shape[1 + depth], front
        if (
            depth and geometry.stride[depth - 1] > 1
        ):  # phase by phase, so that a range of one phase is contiguous
            step = geometry.stride[depth - 1]
            order = [u for phase in range(step) for u in range(phase, self.pixels, step)]
            x = x.index_select(1 + depth, torch.tensor(order, device=x.device))
        rows = _batch_last(x) if depth == geometry.dims else _unfolded(x, geometry, depth)
        self.n = rows.shape[depth + 1 :].numel() if depth else rows.shape[1:].numel()
        if depth > 1:
            rows = _rows_first(rows, depth, spare, front)
        self.rows = rows if depth > 1 else rows.reshape(len(rows), -1)

    @property
    def channels(self) -> int:
        """Channels times unfolded taps."""
        return self.rows.shape[-2]

    def columns(self, lag: Lag, segment: tuple[int, int]) -> tuple[slice, slice]:
        """The columns of the left and of the right pixels of a segment of the last lagged dimension."""
        stride, n = self.strides[-1], self.n
        phase = (lag.phase + lag.shift) % stride
        left, right = (sum(-(-(self.pixels - f) // stride) for f in range(end)) for end in (lag.phase, phase))
        right += (lag.phase + lag.shift - phase) // stride
        first, last = segment
        return slice((left + first) * n, (left + last) * n), slice((right + first) * n, (right + last) * n)


def _batch_last(x: Tensor) -> Tensor:
    """(C, *size, B), by one transposition of a matrix, which is much faster than a general permutation."""
    return x.reshape(len(x), -1).t().contiguous().view(*x.shape[1:], len(x))


def _unfolded(x: Tensor, geometry: Geometry, depth: int) -> Tensor:
    """(C·taps, *lagged size, B, *positions) with the dimensions behind ``depth`` unfolded."""
    inner = geometry.inner(depth)
    windows = inner.windows(inner.pad(x))
    positions = range(2 + depth, 2 + geometry.dims)
    taps = range(2 + geometry.dims, 2 + geometry.dims + inner.dims)
    windows = windows.permute(1, *taps, *range(2, 2 + depth), 0, *positions)
    return windows.reshape(x.shape[1] * inner.taps, *windows.shape[1 + inner.dims :])


def _rows_first(x: Tensor, depth: int, spare: int, front: int) -> Tensor:
    """(C, *size, …) as (*size without the last, C, columns).

    With zero rows around the last leading dimension. The channels' distance avoids powers of two, which would send
    all channels of a pixel to the same place of the cache.
    """
    lead = x.shape[1:depth]
    columns = x.shape[depth:].numel()
    line = LINE // x.element_size()
    length = -(-columns // line) * line
    length += line if length // line % 2 == 0 else 0
    rows = x.new_empty(*lead[:-1], front + lead[-1] + spare, len(x), length)
    rows.narrow(depth - 2, 0, front).zero_()
    rows.narrow(depth - 2, front + lead[-1], spare).zero_()
    body = rows.narrow(depth - 2, front, lead[-1])[..., :columns]
    body.copy_(x.reshape(len(x), *lead, columns).movedim(0, depth - 1))
    return rows
