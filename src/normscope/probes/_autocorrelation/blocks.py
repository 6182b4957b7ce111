"""R as blocks of pairs of taps, filled lag by lag and then mirrored."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from normscope.probes._autocorrelation.overlap import Pairs

SMALL = 256
"""Rows of R up to which each entry is looked up."""


class Blocks:
    """A view of ``Σ patch patchᵀ`` (K, K), which holds zeros, by the taps of the dimensions that go by lags.

    Args:
        matrix: where the sums belong.
        channels: C.
        kernel: taps of the lagged dimensions.
        inner: taps of the unfolded dimensions, which belong to the channels of the rows that are multiplied.
        taps_first: a row is a tap of a channel, the channels of a tap behind one another; else the other way about.
    """

    def __init__(
        self, matrix: Tensor, channels: int, kernel: Sequence[int], inner: int, taps_first: bool = False
    ) -> None:
        self.matrix, self.channels, self.kernel, self.inner = matrix, channels, tuple(kernel), inner
        self.taps_first = taps_first
        self._per_channel = math.prod(kernel) * inner
        self._filled = False

    def add(self, pairs: Sequence[Pairs], sums: Tensor, start: int = 0) -> None:
        """Add the products of segments to every pair of taps that they belong to.

        Args:
            pairs: of each lagged dimension, evenly spaced.
            sums: (*segments, a, b): the products of the a rows from ``start`` with the last b rows.
            start: a multiple of ``inner``; 0 with ``taps_first``.
        """
        for dim, along in enumerate(pairs):
            sums = windowed(sums, dim, along)
        self.put(tuple(pairs), self.by_tap(sums), start)

    def by_tap(self, sums: Tensor) -> Tensor:
        """The view of sums (…, a, b) that has a dimension each for the channels and their unfolded taps."""
        ends: list[int] = []
        for size in sums.shape[-2:]:
            channels = size // self.inner
            ends += (self.inner, channels) if self.taps_first else (channels, self.inner)
        return sums.view(*sums.shape[:-2], *ends)

    def put(self, pairs: tuple[Pairs, ...], sums: Tensor, start: int = 0) -> None:
        """Add the sums (*pairs, …) `by_tap` of pairs of taps; a dimension may have one for all of its pairs."""
        sizes, strides, first = _places(
            pairs, self.kernel, self.inner, self.taps_first, self.matrix.stride(), sums.shape[-4:]
        )
        channels = sums.shape[-1 if self.taps_first else -2]
        row, column = self.matrix.stride()
        first += (start // self.inner * row + (self.channels - channels) * column) * self._per_channel
        target = self.matrix.as_strided(sizes, strides, self.matrix.storage_offset() + first)
        target += sums

    def fill(self, sums: Tensor, put: Callable[[Tensor, Blocks], None]) -> bool:
        """Write all of R at once, of the sums that ``put`` would put to their places; False where that is no gain.

        Where each entry comes from is the same for all inputs of a shape: it is found once, and for a small R kept.
        """
        if len(self.matrix) > SMALL:
            return False
        form = (self.channels, self.kernel, self.inner, self.taps_first)
        sources = _sources(put, sums.shape, form, sums.device)
        if sources is not None:
            torch.index_select(sums.reshape(-1), 0, sources, out=self.matrix.view(-1))
            self._filled = True
        return self._filled

    def add_square(self, rows: Tensor, step: int) -> None:
        """Add ``rows rowsᵀ``, ``step`` rows at a time, without what lies to the left of those."""
        for start in range(0, len(self.matrix), step):
            part = self.matrix[start : start + step, start:]
            part.addmm_(rows[start : start + step], rows[start:].t())

    def halve_squares(self, step: int) -> None:
        """Make `mirror` fill in the other half of what `add_square` added."""
        for start in range(0, len(self.matrix), step):
            self.matrix[start : start + step, start : start + step] *= 0.5

    def mirror(self, tile: int = 256) -> None:
        """Add the transpose in place: of two mirrored entries one holds zero, or each holds a half."""
        if self._filled:
            return
        matrix = self.matrix
        for i in range(0, len(matrix), tile):
            square = matrix[i : i + tile, i : i + tile]
            square += square.mT.clone()
            for j in range(i + tile, len(matrix), tile):
                one, other = matrix[i : i + tile, j : j + tile], matrix[j : j + tile, i : i + tile]
                one += other.mT
                other.copy_(one.mT)


@lru_cache(maxsize=64)
def _sources(
    put: Callable[[Tensor, Blocks], None],
    shape: torch.Size,
    form: tuple[int, tuple[int, ...], int, bool],
    device: torch.device,
) -> Tensor | None:
    """Which of the sums of this shape each entry of R is; None if any is zero, of a tap that reads no pixel."""
    channels, kernel, inner, _ = form
    rows = channels * math.prod(kernel) * inner
    numbers = torch.zeros(rows, rows, dtype=torch.int64, device=device)
    put(torch.arange(1, shape.numel() + 1, device=device).view(shape), Blocks(numbers, *form))
    # Of two mirrored entries one may be zero, or each a product of its own, of which both become the same.
    sources = torch.maximum(numbers, numbers.mT).flatten() - 1
    return sources if bool((sources >= 0).all()) else None


@lru_cache(maxsize=4096)
def _places(
    pairs: tuple[Pairs, ...],
    kernel: tuple[int, ...],
    inner: int,
    taps_first: bool,
    stride: tuple[int, int],
    ends: tuple[int, ...],
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """The blocks of all pairs of taps, of the first channels' rows and columns: sizes, strides and the first place."""
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


def windowed(sums: Tensor, dim: int, pairs: Pairs) -> Tensor:
    """``sums`` with the segments along ``dim`` added up to those of each pair, or of the only window that they have."""
    windows = [pair[2:] for pair in pairs]
    if len(set(windows)) == 1:
        windows = windows[:1]
    (begin, first_stop), (last, stop) = windows[0], windows[-1]
    length, step = first_stop - begin, max(windows[1][0] - begin, 1) if len(windows) > 1 else 1
    if windows == [(at, at + length) for at in range(begin, last + 1, step)]:
        found = sums.narrow(dim, begin, stop - begin)
        return found if length == 1 == step else found.unfold(dim, length, step).sum(-1)
    return torch.cat([sums.narrow(dim, at, end - at).sum(dim, keepdim=True) for at, end in windows], dim)
