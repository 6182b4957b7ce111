"""An input laid out so that a lagged view of it is a plain matrix."""

from __future__ import annotations

import dataclasses
import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from normscope.probes._autocorrelation.geometry import Geometry
from normscope.probes._autocorrelation.overlap import Lag


class Image:
    """Some examples at a time as one image whose pixels are the vectors that are multiplied.

    The leading ``depth`` spatial dimensions keep their pixels. The others are unfolded, so that each channel and
    offset is a channel of its own. The leading ``rows`` of those dimensions lead to a matrix of channels and columns
    each; behind one another in its columns lie the last lagged dimension, if it is not among the rows, the batch and
    the unfolded positions: a range of that dimension is a range of columns, whatever the batch.

    In memory the channels of a pixel are neighbours, behind them its unfolded taps. In a stacked image the last of the
    rows' dimensions comes next, so that the pixels of neighbouring rows are one longer vector. Those that a patch meets
    in the padding are zeros, and any other pixel beyond the first and the last row is some pixel of another column.
    Where dimensions are unfolded and rows are not stacked, the columns are neighbours: copies then keep the order of
    the image.

    Attributes:
        matrices: (*lagged size of the rows, channels, columns).
        channels: channels times unfolded taps.

    Args:
        geometry: the convolution of one group, zero-padded.
        depth: how many dimensions keep their pixels.
        rows: depth or depth − 1.
        stacked: whether pixels of neighbouring rows are beside one another.
    """

    def __init__(self, geometry: Geometry, depth: int, rows: int, stacked: bool = False) -> None:
        self._inner = geometry.inner(depth)
        self.depth, self.rows, self.stacked = depth, rows, stacked
        self._zeros, self._reach = (0, 0), 0
        if stacked:
            (before, after), self._reach = geometry.padding[rows - 1], geometry.kernel[rows - 1] - 1
            # Of two lags of opposite sign only the positive one is computed, so a single dimension needs none before.
            self._zeros = min(before, self._reach) * (rows > 1), min(after, self._reach)
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
        layout = _layout(self._inner, self.depth, self.rows, self.stacked, self._zeros, x.shape, x.stride())
        if layout is not self._layout:
            self._arrange(layout, x, dtype)
        self._room.copy_(layout.source.of(x))

    def _arrange(self, layout: _Layout, x: Tensor, dtype: torch.dtype) -> None:
        """Make room for examples of another shape, with zeros where their padding is."""
        values, beyond = math.prod(layout.store), self._reach * layout.store[-1]
        if len(self._store) < values + 2 * beyond:  # what is beyond the image is multiplied, but of no patch
            self._store = x.new_empty(values + 2 * beyond, dtype=dtype)
        image = self._store[beyond : beyond + values].view(layout.store)
        before, after = self._zeros
        if before:
            image.narrow(-2, 0, before).zero_()
        if after:
            image.narrow(-2, image.shape[-2] - after, after).zero_()
        self._room, self.matrices = layout.room.of(image), layout.matrices.of(image)
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
        return _columns(lag.phase, lag.shift, segment, self.strides[-1], self._layout.pixels, self._layout.n)

    def _prepared(self, x: Tensor) -> Tensor:
        """The examples in phases and padded, as their windows are views of."""
        if self.rows < self.depth:
            x = _by_phase(x, 1 + self.depth, self.strides[-1])
        x = self._inner.pad(x)
        if self._inner.dims and self.stacked:  # the channels of a pixel and the next one's in one run
            x = x.movedim(1, -1).contiguous().movedim(-1, 1)
        return x


class _View(NamedTuple):
    """A view of any tensor that begins where another one's begins."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    first: int

    def of(self, tensor: Tensor) -> Tensor:
        return tensor.as_strided(self.sizes, self.strides, tensor.storage_offset() + self.first)


@dataclasses.dataclass(frozen=True)
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
    source: _View
    room: _View
    matrices: _View
    pixels: int
    n: int


@lru_cache(maxsize=1024)
def _layout(
    inner: Geometry,
    depth: int,
    rows: int,
    stacked: bool,
    zeros: tuple[int, int],
    shape: torch.Size,
    stride: tuple[int, ...],
) -> _Layout:
    """The layout of prepared examples of this shape and these strides, read off views of a tensor without values."""
    windows = inner.windows(torch.empty_strided(shape, stride, device="meta"))
    first, dims = 1 + inner.dims, depth + inner.dims
    taps = range(2 + dims, 2 + dims + inner.dims)
    windows = windows.permute(1, *taps, *range(2, 2 + depth), 0, *range(2 + depth, 2 + dims))
    last, outer = first + rows, rows - stacked
    channels = windows.shape[:first].numel()
    lead, behind = windows.shape[first:last], windows.shape[last:]
    if inner.dims and not stacked:
        windows = windows.permute(*range(first, last), *range(first), *range(last, windows.ndim))
        store = room = torch.empty_like(windows, memory_format=torch.contiguous_format)
        matrices = store.view(*lead, channels, -1)
    else:
        beside = [n + sum(zeros) for n in lead[outer:]]
        store = image = torch.empty(*lead[:outer], *behind, *beside, channels, device="meta")
        order = [*range(first, windows.ndim), *range(1, first), 0]
        if stacked:
            image = store.narrow(-2, zeros[0], lead[-1])
            order.insert(len(order) - first - 1, order.pop(outer))
        windows = windows.permute(order)
        room = image.view(windows.shape)
        matrices = image.view(*lead[:outer], behind.numel(), *lead[outer:], channels).movedim(outer, -1)
    pixels = shape[1 + depth] if rows < depth else 1
    return _Layout(
        tuple(store.shape), _view(windows), _view(room), _view(matrices), pixels, behind.numel() // pixels
    )


@lru_cache(maxsize=4096)
def _columns(
    phase: int, shift: int, segment: tuple[int, int], stride: int, pixels: int, n: int
) -> tuple[slice, slice]:
    """The same, of a dimension of so many ``pixels``, ``n`` columns each, those of a phase behind one another."""
    other = (phase + shift) % stride
    left, right = (sum(-(-(pixels - f) // stride) for f in range(end)) for end in (phase, other))
    right += (phase + shift - other) // stride
    first, last = segment
    return slice((left + first) * n, (left + last) * n), slice((right + first) * n, (right + last) * n)


def _view(found: Tensor) -> _View:
    return _View(tuple(found.shape), found.stride(), int(found.storage_offset()))


def _by_phase(x: Tensor, dim: int, stride: int) -> Tensor:
    """Dimension ``dim`` with the pixels of a phase behind one another, so that a range of a phase is contiguous."""
    if stride == 1:
        return x
    order = [u for phase in range(stride) for u in range(phase, x.shape[dim], stride)]
    return x.index_select(dim, torch.tensor(order, device=x.device))
