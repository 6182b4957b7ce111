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
    offset is a channel of its own. The leading ``rows`` of those dimensions lead to a matrix of channels and columns
    each; behind one another in its columns lie the last lagged dimension, if it is not among the rows, the unfolded
    positions and the batch: a range of that dimension is a range of columns, whatever the batch.

    Attributes:
        matrices: (*lagged size of the rows, channels, columns).
        front: zeros before the last of the rows' dimensions.

    Args:
        x: (B, C, *size).
        geometry: the convolution of one group, zero-padded.
        depth: how many dimensions keep their pixels.
        rows: depth or depth − 1.
        spare: zeros behind the last of the rows' dimensions, so that a view of rows may reach past the last.
        front: zeros before it.
        dtype: of the matrices.
    """

    def __init__(
        self,
        x: Tensor,
        geometry: Geometry,
        depth: int,
        rows: int,
        spare: int = 0,
        front: int = 0,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.front, dtype = front, dtype or x.dtype
        self.strides = (*geometry.stride[:depth], *(1,) * (rows == depth))
        self.pixels = x.shape[1 + depth] if rows < depth else 1
        if rows < depth == geometry.dims:
            self.matrices, columns = _lagged(x, geometry.stride[-1], spare, front, dtype)
        else:
            windows = _windows(x, geometry, depth, rows)
            self.matrices, columns = _copied(windows, geometry.dims - depth, rows, spare, front, dtype)
        self.n = columns // self.pixels
        self._scratch = self.matrices.new_empty(0)

    def scratch(self, *shape: int) -> Tensor:
        """Room for a result, the same room each time."""
        values = math.prod(shape)
        if len(self._scratch) < values:
            self._scratch = self.matrices.new_empty(values)
        return self._scratch[:values].view(shape)

    @property
    def channels(self) -> int:
        """Channels times unfolded taps."""
        return self.matrices.shape[-2]

    def columns(self, lag: Lag, segment: tuple[int, int]) -> tuple[slice, slice]:
        """The columns of the left and of the right pixels of a segment of the last lagged dimension."""
        stride, n = self.strides[-1], self.n
        phase = (lag.phase + lag.shift) % stride
        left, right = (sum(-(-(self.pixels - f) // stride) for f in range(end)) for end in (lag.phase, phase))
        right += (lag.phase + lag.shift - phase) // stride
        first, last = segment
        return slice((left + first) * n, (left + last) * n), slice((right + first) * n, (right + last) * n)


def _lagged(x: Tensor, stride: int, spare: int, front: int, dtype: torch.dtype) -> tuple[Tensor, int]:
    """The matrices of an image of which every dimension is lagged, some examples at a time; their columns.

    A part is first transposed as a matrix, which is much faster than a general permutation, then put in its place.
    """
    batch, channels, *size = x.shape
    columns = size[-1] * batch
    matrices, body = _empty(x, channels, size[:-1], columns, spare, front, dtype)
    body = body.view(*body.shape[:-1], size[-1], batch)
    step = max(LEAST, CHUNK // x[0].numel())
    for start in range(0, batch, step):
        part = x[start : start + step]
        pixels = part.reshape(len(part), -1).t().contiguous().view(channels, *size, len(part))
        body[..., start : start + step].copy_(_by_phase(pixels, len(size), stride).movedim(0, len(size) - 1))
    return matrices, columns


def _windows(x: Tensor, geometry: Geometry, depth: int, rows: int) -> Tensor:
    """A view (C, *taps, *lagged size, B, *positions) with the dimensions behind ``depth`` unfolded."""
    if rows < depth:
        x = _by_phase(x, 1 + depth, geometry.stride[depth - 1])
    inner = geometry.inner(depth)
    windows = inner.windows(inner.pad(x))
    positions = range(2 + depth, 2 + geometry.dims)
    taps = range(2 + geometry.dims, 2 + geometry.dims + inner.dims)
    return windows.permute(1, *taps, *range(2, 2 + depth), 0, *positions)


def _copied(
    windows: Tensor, taps: int, rows: int, spare: int, front: int, dtype: torch.dtype
) -> tuple[Tensor, int]:
    """The matrices of such a view, whose dimensions 1 … ``taps`` are taps; their columns."""
    channels, behind = windows.shape[: 1 + taps], windows.shape[1 + taps + rows :]
    leading = range(1 + taps, 1 + taps + rows)
    lead, columns = windows.shape[1 + taps : 1 + taps + rows], behind.numel()
    matrices, body = _empty(windows, channels.numel(), lead, columns, spare, front, dtype)
    order = (*leading, *range(1 + taps), *range(1 + taps + rows, windows.ndim))
    body.view(*lead, *channels, *behind).copy_(windows.permute(order))
    return matrices, columns


def _by_phase(x: Tensor, dim: int, stride: int) -> Tensor:
    """Dimension ``dim`` with the pixels of a phase behind one another, so that a range of a phase is contiguous."""
    if stride == 1:
        return x
    order = [u for phase in range(stride) for u in range(phase, x.shape[dim], stride)]
    return x.index_select(dim, torch.tensor(order, device=x.device))


def _empty(
    x: Tensor, channels: int, lead: Sequence[int], columns: int, spare: int, front: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Matrices (*lead, channels, columns), zeros around the last leading dimension, and the part to fill.

    The channels' distance avoids powers of two, which would send all channels of a pixel to the same place of the
    cache.
    """
    line = LINE // dtype.itemsize
    length = -(-columns // line) * line
    length += line if length // line % 2 == 0 else 0
    if not lead:
        body = x.new_empty(channels, length, dtype=dtype)[:, :columns]
        return body, body
    matrices = x.new_empty(*lead[:-1], front + lead[-1] + spare, channels, length, dtype=dtype)
    dim = len(lead) - 1
    matrices.narrow(dim, 0, front).zero_()
    matrices.narrow(dim, front + lead[-1], spare).zero_()
    return matrices, matrices.narrow(dim, front, lead[-1])[..., :columns]
