"""Which pairs of kernel taps share products: the one-dimensional bookkeeping of the algorithm.

Along one dimension tap i of patch m reads pixel ``u = s·m + d·i − p`` (stride s, dilation d, padding p). Two taps
(i, j) multiply pixels that lie ``e = d·(j − i)`` apart. So all pairs of the same lag e and the same phase
``φ = u mod s`` sum the same products ``x[u]·x[u+e]``, over ranges of u that differ only near the borders. A `Lag` cuts
the union of the ranges into segments on which the set of pairs is constant: a long core and short strips. Each segment
is multiplied once, and the sum of a pair is the sum of its segments. Nothing is subtracted.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from functools import lru_cache

Pairs = tuple[tuple[int, int, int, int], ...]
"""``(i, j, first, last)`` of each pair of taps, as in `Lag`."""


@dataclasses.dataclass(frozen=True)
class Lag:
    """All pairs of taps along one dimension with the same lag and phase.

    Pixels of a phase are counted by q: ``u = s·q + φ``.

    Attributes:
        phase: φ, the phase of the left pixel.
        shift: e, the lag in pixels; the right pixel is u + e.
        segments: ranges ``[first, last)`` of q, in order and disjoint.
        pairs: ``(i, j, first, last)``: the pair of taps (i, j) sums the segments ``first … last−1``. The taps of
            neighbouring pairs are evenly spaced.
    """

    phase: int
    shift: int
    segments: tuple[tuple[int, int], ...]
    pairs: Pairs

    @property
    def length(self) -> int:
        """The number of pixels that are multiplied."""
        return sum(last - first for first, last in self.segments)


Lags = tuple[Lag, ...]


@lru_cache(maxsize=1024)
def lags_along(size: int, kernel: int, stride: int, dilation: int, before: int, patches: int) -> Lags:
    """The lags of one dimension, first those with ``shift ≥ 0``.

    Zero padding is not stored: a range ends where either pixel would leave the image.

    Args:
        size: number of pixels of the image, without its zero padding.
        kernel: number of taps.
        stride: s.
        dilation: d.
        before: p, the zero padding in front.
        patches: number of output positions.
    """
    ranges: dict[tuple[int, int], list[tuple[int, int, int, int]]] = {}
    for i, j in itertools.product(range(kernel), repeat=2):
        start, shift = dilation * i - before, dilation * (j - i)
        phase = start % stride
        low, high = max(0, -shift), min(size, size - shift)
        first = max((start - phase) // stride, -((phase - low) // stride))
        last = min((start - phase) // stride + patches, -((phase - high) // stride))
        if first < last:
            ranges.setdefault((phase, shift), []).append((i, j, first, last))
    found = [_lag(phase, shift, pairs) for (phase, shift), pairs in ranges.items()]
    return tuple(sorted(found, key=lambda lag: (lag.shift < 0, abs(lag.shift), lag.phase)))


def _lag(phase: int, shift: int, pairs: list[tuple[int, int, int, int]]) -> Lag:
    """The lag whose pairs ``(i, j, first, last)`` sum the pixels ``first … last−1``."""
    cuts = sorted({cut for _, _, first, last in pairs for cut in (first, last)})
    number = {cut: index for index, cut in enumerate(cuts)}
    segments = tuple(itertools.pairwise(cuts))
    return Lag(phase, shift, segments, tuple((i, j, number[a], number[b]) for i, j, a, b in pairs))


WHOLE = Lag(0, 0, ((0, 1),), ((0, 0, 0, 1),))
"""The one lag of a dimension of one pixel and one tap."""


def sign(combination: Sequence[Lag]) -> int:
    """The sign of the first shift that is not zero. Of a lag and its negative only the positive one is multiplied."""
    first = next((lag.shift for lag in combination if lag.shift), 0)
    return (first > 0) - (first < 0)


def combinations_of(lags: Sequence[Lags]) -> tuple[Lags, ...]:
    """Every combination of one lag of each dimension that is multiplied."""
    return tuple(each for each in itertools.product(*lags) if sign(each) >= 0)
