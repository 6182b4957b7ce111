"""An input laid out so that a lagged view of it is a plain matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from normscope.probes.geometry import Geometry
from normscope.probes.overlap import Lag

LINE = 64
"""Bytes of a cache line."""

CHUNK = 2**17
"""Values of a batch that are transposed at a time."""

LEAST = 4
"""Examples that are transposed at a time at the least."""


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
        self.strides, self.pixels, self.front = (
            geometry.stride[:depth],
            x.shape[1 + depth : 2 + depth].numel(),
            front,
        )
        if depth == geometry.dims and depth:
            self.n = len(x)
            self.rows = _lagged(x, geometry.stride[-1], spare, front)
        else:
            windows = _windows(x, geometry, depth)
            self.n = windows.shape[windows.ndim - 1 - geometry.dims + depth :].numel()
            self.rows = _copied(windows, geometry.dims - depth, depth, spare, front)
        self._scratch = x.new_empty(0)

    def scratch(self, *shape: int) -> Tensor:
        """Room for a result, the same room each time."""
        values = math.prod(shape)
        if len(self._scratch) < values:
            self._scratch = self.rows.new_empty(values)
        return self._scratch[:values].view(shape)

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


def _lagged(x: Tensor, stride: int, spare: int, front: int) -> Tensor:
    """The rows of an image of which every dimension is lagged, some examples at a time.

    A part is first transposed as a matrix, which is much faster than a general permutation, then put in its place.
    """
    batch, channels, *size = x.shape
    if len(size) == 1 and stride == 1:
        return x.reshape(batch, -1).t().contiguous().view(channels, -1)
    rows, body = _empty(x, channels, size[:-1], size[-1] * batch, spare, front)
    body = body.view(*body.shape[:-1], size[-1], batch)
    step = max(LEAST, CHUNK // x[0].numel())
    for start in range(0, batch, step):
        part = x[start : start + step]
        pixels = part.reshape(len(part), -1).t().contiguous().view(channels, *size, len(part))
        body[..., start : start + step].copy_(_by_phase(pixels, len(size), stride).movedim(0, len(size) - 1))
    return rows


def _windows(x: Tensor, geometry: Geometry, depth: int) -> Tensor:
    """A view (C, *taps, *lagged size, B, *positions) with the dimensions behind ``depth`` unfolded."""
    if depth:
        x = _by_phase(x, 1 + depth, geometry.stride[depth - 1])
    inner = geometry.inner(depth)
    windows = inner.windows(inner.pad(x))
    positions = range(2 + depth, 2 + geometry.dims)
    taps = range(2 + geometry.dims, 2 + geometry.dims + inner.dims)
    return windows.permute(1, *taps, *range(2, 2 + depth), 0, *positions)


def _copied(windows: Tensor, taps: int, depth: int, spare: int, front: int) -> Tensor:
    """The rows of such a view, whose dimensions 1 … ``taps`` are taps."""
    channels = windows.shape[: 1 + taps]
    if depth < 2:
        return windows.reshape(channels.numel(), -1)
    lead, columns = windows.shape[1 + taps : taps + depth], windows.shape[taps + depth :]
    rows, body = _empty(windows, channels.numel(), lead, columns.numel(), spare, front)
    leading = range(1 + taps, taps + depth)
    order = (*leading, *range(1 + taps), *range(taps + depth, windows.ndim))
    body.view(*lead, *channels, *columns).copy_(windows.permute(order))
    return rows


def _by_phase(x: Tensor, dim: int, stride: int) -> Tensor:
    """Dimension ``dim`` with the pixels of a phase behind one another, so that a range of a phase is contiguous."""
    if stride == 1:
        return x
    order = [u for phase in range(stride) for u in range(phase, x.shape[dim], stride)]
    return x.index_select(dim, torch.tensor(order, device=x.device))


def _empty(
    x: Tensor, channels: int, lead: Sequence[int], columns: int, spare: int, front: int
) -> tuple[Tensor, Tensor]:
    """Rows (*lead, channels, columns) with rows of zeros around the last leading dimension, and the part to fill.

    The channels' distance avoids powers of two, which would send all channels of a pixel to the same place of the
    cache.
    """
    line = LINE // x.element_size()
    length = -(-columns // line) * line
    length += line if length // line % 2 == 0 else 0
    if not lead:
        rows = x.new_empty(channels, length)
        return rows, rows[:, :columns]
    rows = x.new_empty(*lead[:-1], front + lead[-1] + spare, channels, length)
    dim = len(lead) - 1
    rows.narrow(dim, 0, front).zero_()
    rows.narrow(dim, front + lead[-1], spare).zero_()
    return rows, rows.narrow(dim, front, lead[-1])[..., :columns]
