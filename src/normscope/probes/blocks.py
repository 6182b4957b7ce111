"""R as blocks of pairs of taps, filled lag by lag and then mirrored."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from normscope.probes.overlap import Lag, Pairs


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
        self.matrix, self.channels, self.kernel, self.inner = matrix, channels, kernel, inner
        self.taps_first = taps_first
        self._per_channel = math.prod(kernel) * inner

    def add(self, lags: Sequence[Lag], sums: Tensor, start: int = 0) -> None:
        """Add the products of one lag of each dimension to every pair of taps that it joins.

        Args:
            lags: one of each lagged dimension.
            sums: (*segments, a, b): the products of the a rows from ``start`` with the last b rows.
            start: a multiple of ``inner``; 0 with ``taps_first``.
        """
        a, b = (size // self.inner for size in sums.shape[-2:])
        if not any(lag.shift for lag in lags):
            sums.triu_()
        for dim, lag in enumerate(lags):
            sums = _windows(sums, dim, [pair[2:] for pair in lag.pairs])
        target = self._blocks([lag.pairs for lag in lags], start // self.inner, a, self.channels - b, b)
        target += sums.view(*sums.shape[:-2], *target.shape[-4:])

    def add_square(self, rows: Tensor, step: int) -> None:
        """Add ``rows rowsᵀ``, ``step`` rows at a time: of what lies below the diagonal only what comes along."""
        for start in range(0, len(self.matrix), step):
            part = self.matrix[start : start + step, start:]
            part.addmm_(rows[start : start + step], rows[start:].t())

    def mirror(self, tile: int = 256) -> None:
        """Fill in the other half in place; of each two mirrored entries one still holds zero."""
        matrix = self.matrix
        diagonal = matrix.diagonal().clone()
        for i in range(0, len(matrix), tile):
            square = matrix[i : i + tile, i : i + tile]
            square += square.mT.clone()
            for j in range(i + tile, len(matrix), tile):
                one, other = matrix[i : i + tile, j : j + tile], matrix[j : j + tile, i : i + tile]
                one += other.mT
                other.copy_(one.mT)
        matrix.diagonal().copy_(diagonal)

    def _blocks(self, pairs: Sequence[Pairs], first: int, a: int, last: int, b: int) -> Tensor:
        """The blocks of all pairs of taps: the rows of ``a`` channels from ``first``, the columns of ``b``."""
        one, inner = self._per_channel, self.inner
        row, column = self.matrix.stride()
        start, tap = first * one * row + last * one * column, inner
        counts: list[int] = []
        steps: list[int] = []
        for along, taps in zip(reversed(pairs), reversed(self.kernel), strict=True):
            (i, j, *_), step = along[0], along[1][0] - along[0][0] if len(along) > 1 else 0
            start += tap * (i * row + j * column)
            counts.insert(0, len(along))
            steps.insert(0, tap * step * (row + column))
            tap *= taps
        shape, strides = (a, inner, b, inner), (one * row, row, one * column, column)
        if self.taps_first:
            shape, strides = (inner, a, inner, b), (row, one * row, column, one * column)
        return self.matrix.as_strided(
            (*counts, *shape), (*steps, *strides), self.matrix.storage_offset() + start
        )


def _windows(sums: Tensor, dim: int, windows: list[tuple[int, int]]) -> Tensor:
    """``sums`` with the segments along ``dim`` added up to those of each window, or of the only one."""
    if len(set(windows)) == 1:
        windows = windows[:1]
    (begin, first_stop), (last, stop) = windows[0], windows[-1]
    length, step = first_stop - begin, max(windows[1][0] - begin, 1) if len(windows) > 1 else 1
    if windows == [(at, at + length) for at in range(begin, last + 1, step)]:
        found = sums.narrow(dim, begin, stop - begin)
        return found if length == 1 == step else found.unfold(dim, length, step).sum(-1)
    return torch.cat([sums.narrow(dim, at, end - at).sum(dim, keepdim=True) for at, end in windows], dim)
