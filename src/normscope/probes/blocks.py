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
        outer = math.prod(kernel)
        self.view = matrix.view(channels, outer, inner, channels, outer, inner)

    def add(self, lags: Sequence[Lag], sums: Tensor, start: int = 0) -> None:
        """Add the products of one lag of each dimension to every pair of taps that it joins.

        Args:
            lags: one of each lagged dimension.
            sums: (*segments, a, b): the products of the a rows from ``start`` with the last b rows.
            start: a multiple of ``inner``; 0 with ``taps_first``.
        """
        a, b = (size // self.inner for size in sums.shape[-2:])
        first = start // self.inner
        if not any(lag.shift for lag in lags):
            sums.triu_()
        for pairs in itertools.product(*(lag.pairs for lag in lags)):
            i, j = (self._tap([pair[end] for pair in pairs]) for end in (0, 1))
            found = sums[tuple(slice(begin, stop) for _, _, begin, stop in pairs)]
            found = found.reshape(-1, *found.shape[-2:])
            found = found[0] if len(found) == 1 else found.sum(0)
            target = self.view[first : first + a, i, :, self.channels - b :, j, :]
            if self.taps_first:
                target = target.permute(1, 0, 3, 2)
            target += found.view(target.shape)

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

    def _tap(self, index: Sequence[int]) -> int:
        flat = 0
        for i, n in zip(index, self.kernel, strict=True):
            flat = flat * n + i
        return flat
