"""Which pairs of kernel taps share products: the one-dimensional bookkeeping behind the lag algorithm.

Along one dimension tap i of patch y reads pixel ``u = s·y + d·i − p`` (stride s, dilation d, padding p). Two
taps (i, i') multiply pixels that lie ``e = d·(i' − i)`` apart, so every pair of the same lag e and the same
phase ``φ = u mod s`` sums the same products ``x[u]·x[u+e]``, over ranges of u that differ only near the
borders. A `Lag` cuts the union of those ranges into segments on which the set of pairs is constant: a long
common core and short strips. Each segment is multiplied once, and a pair's sum is the sum of its segments;
nothing is subtracted.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from functools import lru_cache

Pairs = tuple[tuple[int, int, int, int], ...]
"""``(i, i', first, last)`` of each pair of taps, as in `Lag`."""


@dataclasses.dataclass(frozen=True)
class Lag:
    """All pairs of taps along one dimension with the same lag and phase.

    Pixels of a phase are counted by q, ``u = s·q + φ``.

    Attributes:
        phase: φ, the phase of the left pixel.
        shift: e, the lag in pixels; the right pixel is u + e.
        segments: ranges ``[first, last)`` of q, in order, disjoint.
        pairs: ``(i, i', first, last)``: the pair sums the segments ``first … last−1``. The taps are evenly spaced: both
            ends of their ranges of pixels move by as much from each to the next, so those that are not empty are
            neighbours.
    """

    phase: int
    shift: int
    segments: tuple[tuple[int, int], ...]
    pairs: Pairs

    @property
    def length(self) -> int:
        """The pixels multiplied."""
        return sum(last - first for first, last in self.segments)


Lags = tuple[Lag, ...]


@lru_cache(maxsize=1024)
def lags(size: int, kernel: int, stride: int, dilation: int, before: int, patches: int) -> tuple[Lag, ...]:
    """The lags of one dimension, those with ``shift ≥ 0`` before the others.

    Zero padding is never stored: ranges end where either pixel would leave the image.

    Args:
        size: pixels of the image, without its zero padding.
        kernel: taps.
        stride: s.
        dilation: d.
        before: p, zero padding in front.
        patches: the number of output positions.
    """
    ranges: dict[tuple[int, int], list[tuple[int, int, int, int]]] = {}
    for i in range(kernel):
        start = dilation * i - before
        phase = start % stride
        for j in range(kernel):
            shift = dilation * (j - i)
            low = max(0, -shift)
            high = min(size, size - shift)
            first = max((start - phase) // stride, -((phase - low) // stride))
            last = min((start - phase) // stride + patches, -((phase - high) // stride))
            if first < last:
                ranges.setdefault((phase, shift), []).append((i, j, first, last))
    found = []
    for (phase, shift), pairs in ranges.items():
        cuts = sorted({cut for _, _, first, last in pairs for cut in (first, last)})
        segments = [
            (a, b)
            for a, b in itertools.pairwise(cuts)
            if any(first <= a and b <= last for _, _, first, last in pairs)
        ]
        starts = {a: index for index, (a, _) in enumerate(segments)}
        ends = {b: index + 1 for index, (_, b) in enumerate(segments)}
        found.append(
            Lag(
                phase,
                shift,
                tuple(segments),
                tuple((i, j, starts[first], ends[last]) for i, j, first, last in pairs),
            )
        )
    return tuple(sorted(found, key=lambda lag: (lag.shift < 0, abs(lag.shift), lag.phase)))


WHOLE = Lag(0, 0, ((0, 1),), ((0, 0, 0, 1),))
"""The one lag of a dimension of one pixel and one tap."""


def sign(combination: Sequence[Lag]) -> int:
    """The sign of the first shift that is not zero. Of a lag and its negative only the positive one is computed."""
    first = next((lag.shift for lag in combination if lag.shift), 0)
    return (first > 0) - (first < 0)
