"""R as blocks of pairs of taps, filled lag by lag and then mirrored."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import Tensor

from normscope.probes.overlap import Lag


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
        for pairs in itertools.product(*(lag.pairs for lag in lags)):
            found = sums
            for dim, (_, _, begin, stop) in enumerate(pairs):
                if stop - begin < sums.shape[dim]:
                    found = found.narrow(dim, begin, stop - begin)
            if found.shape[:-2].numel() > 1:
                found = found.reshape(-1, *found.shape[-2:]).sum(0)
            i, j = (self._tap([pair[end] for pair in pairs]) for end in (0, 1))
            target = self._block(i, start // self.inner, a, j, self.channels - b, b)
            target += found.reshape(target.shape)

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

    def _block(self, i: int, first: int, a: int, j: int, last: int, b: int) -> Tensor:
        """A pair of taps: the rows of ``a`` channels from ``first``, the columns of ``b`` from ``last``."""
        one, inner = self._per_channel, self.inner
        row, column = self.matrix.stride()
        start = (first * one + i * inner) * row + (last * one + j * inner) * column
        shape, strides = (a, inner, b, inner), (one * row, row, one * column, column)
        if self.taps_first:
            shape, strides = (inner, a, inner, b), (row, one * row, column, one * column)
        return self.matrix.as_strided(shape, strides, self.matrix.storage_offset() + start)

    def _tap(self, index: Sequence[int]) -> int:
        flat = 0
        for i, n in zip(index, self.kernel, strict=True):
            flat = flat * n + i
        return flat
