"""An input laid out so that a lagged view of it is a plain matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

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
        self._inner = geometry.inner(depth)
        self.depth, self.rows, self.spare, self.front = depth, rows, spare, front
        self.strides = (*geometry.stride[:depth], *(1,) * (rows == depth))
        self._layout: _Layout | None = None
        self.matrices = self._room = self._store = self._scratch = torch.empty(0)

    @property
    def channels(self) -> int:
        """Channels times unfolded taps."""
        return self.matrices.shape[-2]

    def load(self, x: Tensor, dtype: torch.dtype) -> None:
        """Take in examples (B, C, *size) in the place of those before."""
        x = self._prepared(x)
        layout = _layout(self._inner, self.depth, self.rows, self.spare, self.front, x.shape, x.stride())
        if layout is not self._layout:
            self._arrange(layout, x, dtype)
        sizes, strides, offset = layout.source
        self._room.copy_(x.as_strided(sizes, strides, x.storage_offset() + offset))

    def _arrange(self, layout: _Layout, x: Tensor, dtype: torch.dtype) -> None:
        """Make room for examples of another shape, with zeros around the last of the rows' dimensions."""
        values = math.prod(layout.store)
        if len(self._store) < values:
            self._store = x.new_empty(values, dtype=dtype)
        image = self._store[:values].view(layout.store)
        if self.spare:
            image.narrow(-2, image.shape[-2] - self.spare, self.spare).zero_()
        if self.front:
            image.narrow(-2, 0, self.front).zero_()
        self._room, self.matrices = image.as_strided(*layout.room), image.as_strided(*layout.matrices)
        self._layout = layout

    def scratch(self, *shape: int) -> Tensor:
        """Room for a result, the same room each time."""
        values = math.prod(shape)
        if len(self._scratch) < values:
            self._scratch = self._store.new_empty(values)
        return self._scratch[:values].view(shape)

    def columns(self, lag: Lag, segment: tuple[int, int]) -> tuple[slice, slice]:
        """The columns of the left and of the right pixels of a segment of the last lagged dimension."""
        assert self._layout is not None
        stride, n, pixels = self.strides[-1], self._layout.n, self._layout.pixels
        phase = (lag.phase + lag.shift) % stride
        left, right = (sum(-(-(pixels - f) // stride) for f in range(end)) for end in (lag.phase, phase))
        right += (lag.phase + lag.shift - phase) // stride
        first, last = segment
        return slice((left + first) * n, (left + last) * n), slice((right + first) * n, (right + last) * n)

    def _prepared(self, x: Tensor) -> Tensor:
        """The examples in phases and padded, as their windows are views of."""
        if self.rows < self.depth:
            x = _by_phase(x, 1 + self.depth, self.strides[-1])
        x = self._inner.pad(x)
        if self._inner.dims and self.spare:  # the channels of a pixel and the next one's in one run
            x = x.movedim(1, -1).contiguous().movedim(-1, 1)
        return x


View = tuple[tuple[int, ...], tuple[int, ...], int]
"""Sizes, strides and the first value's place."""


@dataclass(frozen=True)
class _Layout:
    """An image of examples of one shape.

    Attributes:
        store: the sizes of all that is kept, zeros among them.
        source: the examples' values in their order in `room`, a view of the examples.
        room: where they go, a view of the store.
        matrices: a view of the store.
        pixels: of the last lagged dimension, if it is behind one another in the columns; n: columns of each.
    """

    store: tuple[int, ...]
    source: View
    room: View
    matrices: View
    pixels: int
    n: int


@lru_cache(maxsize=1024)
def _layout(
    inner: Geometry, depth: int, rows: int, spare: int, front: int, shape: torch.Size, stride: tuple[int, ...]
) -> _Layout:
    """The layout of prepared examples of this shape and these strides, read off views of a tensor without values."""
    windows = inner.windows(torch.empty_strided(shape, stride, device="meta"))
    first, dims = 1 + inner.dims, depth + inner.dims
    taps = range(2 + dims, 2 + dims + inner.dims)
    windows = windows.permute(1, *taps, *range(2, 2 + depth), 0, *range(2 + depth, 2 + dims))
    last, outer = first + rows, rows - (spare > 0)
    channels = windows.shape[:first].numel()
    lead, behind = windows.shape[first:last], windows.shape[last:]
    if inner.dims and not spare:
        windows = windows.permute(*range(first, last), *range(first), *range(last, windows.ndim))
        store = room = torch.empty_like(windows, memory_format=torch.contiguous_format)
        matrices = store.view(*lead, channels, -1)
    else:
        beside = [n + front + spare for n in lead[outer:]]
        store = torch.empty(*lead[:outer], *behind, *beside, channels, device="meta")
        order = [*range(first, windows.ndim), *range(1, first), 0]
        if spare:
            order.insert(len(order) - first - 1, order.pop(outer))
        windows = windows.permute(order)
        room = (store.narrow(-2, front, lead[-1]) if spare else store).view(windows.shape)
        matrices = store.view(*lead[:outer], behind.numel(), *beside, channels).movedim(outer, -1)
    pixels = shape[1 + depth] if rows < depth else 1
    return _Layout(
        tuple(store.shape), _view(windows), _view(room), _view(matrices), pixels, behind.numel() // pixels
    )


def _view(of: Tensor) -> View:
    return tuple(of.shape), of.stride(), int(of.storage_offset())


def _by_phase(x: Tensor, dim: int, stride: int) -> Tensor:
    """Dimension ``dim`` with the pixels of a phase behind one another, so that a range of a phase is contiguous."""
    if stride == 1:
        return x
    order = [u for phase in range(stride) for u in range(phase, x.shape[dim], stride)]
    return x.index_select(dim, torch.tensor(order, device=x.device))
