"""An input laid out so that a lagged view of it is a plain matrix."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from normscope.probes.geometry import Geometry
from normscope.probes.overlap import Lag


class Image:
    """Some examples at a time as one image whose pixels are the vectors that are multiplied.

    The leading ``depth`` spatial dimensions keep their pixels. The others are unfolded, so that each channel and
    offset is a channel of its own. The leading ``rows`` of those dimensions lead to a matrix of channels and columns
    each; behind one another in its columns lie the last lagged dimension, if it is not among the rows, the batch and
    the unfolded positions: a range of that dimension is a range of columns, whatever the batch.

    In memory the channels of a pixel are neighbours, behind them its unfolded taps, and with ``spare`` the last of the
    rows' dimensions comes next, so that the pixels of neighbouring rows are one longer vector. Where dimensions are
    unfolded and there is no ``spare``, the columns are neighbours instead: copies then keep the order of the image.

    Attributes:
        matrices: (*lagged size of the rows, channels, columns).
        channels: channels times unfolded taps.
        front: zeros before the last of the rows' dimensions.

    Args:
        geometry: the convolution of one group, zero-padded.
        depth: how many dimensions keep their pixels.
        rows: depth or depth − 1.
        spare: zeros behind the last of the rows' dimensions, so that a view of rows may reach past the last.
        front: zeros before it, with ``spare`` only.
    """

    def __init__(self, geometry: Geometry, depth: int, rows: int, spare: int = 0, front: int = 0) -> None:
        self.geometry, self.depth, self.rows = geometry, depth, rows
        self._inner = geometry.inner(depth)
        self.spare, self.front = spare, front
        self.strides = (*geometry.stride[:depth], *(1,) * (rows == depth))
        self.channels = self.pixels = self.n = 0
        self.matrices = self._store = self._scratch = torch.empty(0)

    def load(self, x: Tensor, dtype: torch.dtype) -> None:
        """Take in examples (B, C, *size) in the place of those before."""
        windows, taps = self._windows(x), self.geometry.dims - self.depth
        lead, behind = windows.shape[1 + taps : 1 + taps + self.rows], windows.shape[1 + taps + self.rows :]
        self.channels = windows.shape[: 1 + taps].numel()
        self.pixels = x.shape[1 + self.depth] if self.rows < self.depth else 1
        self.n = behind.numel() // self.pixels
        first, outer = 1 + taps, self.rows - (self.spare > 0)
        if self.depth < self.geometry.dims and not self.spare:
            behind_lead = range(first + self.rows, windows.ndim)
            windows = windows.permute(*range(first, first + self.rows), *range(first), *behind_lead)
            self._store = self._fresh(x, windows.shape, dtype)
            self.matrices = self._store.copy_(windows).view(*lead, self.channels, -1)
            return
        beside = [n + self.front + self.spare for n in lead[outer:]]
        self._store = self._fresh(x, (*lead[:outer], *behind, *beside, self.channels), dtype)
        body = self._store.narrow(-2, self.front, lead[-1]) if self.spare else self._store
        order = [*range(first, windows.ndim), *range(1, first), 0]
        if self.spare:
            order.insert(len(order) - first - 1, order.pop(outer))
        body.view(*body.shape[:-1], *windows.shape[1:first], -1).copy_(windows.permute(order))
        columns = self._store.view(*lead[:outer], behind.numel(), *beside, self.channels)
        self.matrices = columns.movedim(outer, -1)

    def scratch(self, *shape: int) -> Tensor:
        """Room for a result, the same room each time."""
        values = math.prod(shape)
        if len(self._scratch) < values or self._scratch.dtype != self._store.dtype:
            self._scratch = self._store.new_empty(values)
        return self._scratch[:values].view(shape)

    def columns(self, lag: Lag, segment: tuple[int, int]) -> tuple[slice, slice]:
        """The columns of the left and of the right pixels of a segment of the last lagged dimension."""
        stride, n = self.strides[-1], self.n
        phase = (lag.phase + lag.shift) % stride
        left, right = (sum(-(-(self.pixels - f) // stride) for f in range(end)) for end in (lag.phase, phase))
        right += (lag.phase + lag.shift - phase) // stride
        first, last = segment
        return slice((left + first) * n, (left + last) * n), slice((right + first) * n, (right + last) * n)

    def _windows(self, x: Tensor) -> Tensor:
        """A view (C, *taps, *lagged size, B, *positions) with the dimensions behind ``depth`` unfolded."""
        geometry, depth, inner = self.geometry, self.depth, self._inner
        if self.rows < depth:
            x = _by_phase(x, 1 + depth, geometry.stride[depth - 1])
        x = inner.pad(x)
        if inner.dims and self.spare:  # the channels of a pixel and the next one's in one run
            x = x.movedim(1, -1).contiguous().movedim(-1, 1)
        windows = inner.windows(x)
        positions = range(2 + depth, 2 + geometry.dims)
        taps = range(2 + geometry.dims, 2 + geometry.dims + inner.dims)
        return windows.permute(1, *taps, *range(2, 2 + depth), 0, *positions)

    def _fresh(self, x: Tensor, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Room for so many values, with zeros around the last of the rows' dimensions."""
        values, spent = math.prod(shape), self._store
        if spent.dtype == dtype and spent.shape == tuple(shape):
            return spent
        flat = spent.view(-1)[:values] if spent.dtype == dtype and spent.numel() >= values else None
        store = x.new_empty(shape, dtype=dtype) if flat is None else flat.view(shape)
        if self.spare:
            store.narrow(-2, 0, self.front).zero_()
            store.narrow(-2, store.shape[-2] - self.spare, self.spare).zero_()
        return store


def _by_phase(x: Tensor, dim: int, stride: int) -> Tensor:
    """Dimension ``dim`` with the pixels of a phase behind one another, so that a range of a phase is contiguous."""
    if stride == 1:
        return x
    order = [u for phase in range(stride) for u in range(phase, x.shape[dim], stride)]
    return x.index_select(dim, torch.tensor(order, device=x.device))
