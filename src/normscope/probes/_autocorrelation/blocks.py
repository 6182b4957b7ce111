"""R as blocks of pairs of taps, filled lag by lag and then mirrored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from normscope.probes._autocorrelation.lags import Pairs


class Blocks:
    """``Σ patch patchᵀ`` (K, K) by pairs of taps of the dimensions that go by lags.

    Args:
        matrix: the sum, which holds zeros at first.
        channels: C.
        kernel: number of taps of each lagged dimension.
        inner: number of unfolded taps of each channel.
        taps_first: whether the rows of the products are sorted by (unfolded tap, channel), not (channel, unfolded tap).
    """

    def __init__(
        self, matrix: Tensor, channels: int, kernel: Sequence[int], inner: int, taps_first: bool = False
    ) -> None:
        self.matrix, self.channels, self.kernel, self.inner = matrix, channels, tuple(kernel), inner
        self.taps_first = taps_first
        self._per_channel = math.prod(kernel) * inner

    def add(self, pairs: Sequence[Pairs], sums: Tensor, start: int = 0) -> None:
        """Add the sums of segments to every pair of taps that they belong to.

        Args:
            pairs: the pairs of each lagged dimension, evenly spaced.
            sums: (*segments, a, b), the products of a rows, from row ``start`` on, with the last b rows.
            start: a multiple of ``inner``; 0 with ``taps_first``.
        """
        for dim, along in enumerate(pairs):
            sums = windowed(sums, dim, along)
        self.put(tuple(pairs), self.by_tap(sums), start)

    def by_tap(self, sums: Tensor) -> Tensor:
        """The view of sums (…, a, b) in which channels and unfolded taps are dimensions of their own."""
        ends: list[int] = []
        for size in sums.shape[-2:]:
            channels = size // self.inner
            ends += (self.inner, channels) if self.taps_first else (channels, self.inner)
        return sums.view(*sums.shape[:-2], *ends)

    def put(self, pairs: tuple[Pairs, ...], sums: Tensor, start: int = 0) -> None:
        """Add the sums (*pairs, …) of pairs of taps, as `by_tap` views them; size 1 means one sum for all pairs."""
        sizes, strides, first = _places(
            pairs, self.kernel, self.inner, self.taps_first, self.matrix.stride(), sums.shape[-4:]
        )
        row, column = self.matrix.stride()
        before = self.channels - sums.shape[-1 if self.taps_first else -2]
        first += (start // self.inner * row + before * column) * self._per_channel
        target = self.matrix.as_strided(sizes, strides, self.matrix.storage_offset() + first)
        target += sums


def windowed(sums: Tensor, dim: int, pairs: Pairs) -> Tensor:
    """The sum of each pair's segments along ``dim``; one sum if all pairs have the same segments."""
    windows = [pair[2:] for pair in pairs]
    if len(set(windows)) == 1:
        windows = windows[:1]
    (begin, first_stop), (last, stop) = windows[0], windows[-1]
    length, step = first_stop - begin, max(windows[1][0] - begin, 1) if len(windows) > 1 else 1
    if windows == [(at, at + length) for at in range(begin, last + 1, step)]:
        found = sums.narrow(dim, begin, stop - begin)
        return found if length == 1 == step else found.unfold(dim, length, step).sum(-1)
    return torch.cat([sums.narrow(dim, at, end - at).sum(dim, keepdim=True) for at, end in windows], dim)


STRIP = 256
"""Rows of R that are computed, or mirrored, at a time: they stay in the processor's cache."""

ACCELERATED_STRIP = 2048
"""The same on an accelerator."""


def tile_of(total: Tensor) -> int:
    """How many rows of R are computed, or mirrored, at a time where it lies."""
    return STRIP if total.device.type == "cpu" else ACCELERATED_STRIP


def mirror(total: Tensor) -> None:
    """Add their transposes to matrices (G, K, K): of two mirrored entries one is zero, or both are halves."""
    rows, tile = total.shape[-1], tile_of(total)
    for i in range(0, rows, tile):
        square = total[:, i : i + tile, i : i + tile]
        square += square.mT.clone()
        for j in range(i + tile, rows, tile):
            one, other = total[:, i : i + tile, j : j + tile], total[:, j : j + tile, i : i + tile]
            one += other.mT
            other.copy_(one.mT)


@lru_cache(maxsize=4096)
def _places(
    pairs: tuple[Pairs, ...],
    kernel: tuple[int, ...],
    inner: int,
    taps_first: bool,
    stride: tuple[int, int],
    ends: tuple[int, ...],
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Sizes, strides and first place of the view of R that holds the blocks of all pairs of taps."""
    (row, column), start, tap = stride, 0, inner
    counts: list[int] = []
    steps: list[int] = []
    for along, taps in zip(reversed(pairs), reversed(kernel), strict=True):
        corners = [tap * (i * row + j * column) for i, j, *_ in along[:2]]
        start += corners[0]
        counts.insert(0, len(along))
        steps.insert(0, corners[-1] - corners[0])
        tap *= taps
    strides = (row, tap * row, column, tap * column) if taps_first else (tap * row, row, tap * column, column)
    return (*counts, *ends), (*steps, *strides), start
