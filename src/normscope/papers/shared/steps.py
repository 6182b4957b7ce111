"""Which steps of a run are recorded."""

from __future__ import annotations

import math


def in_equal_ratios(last: int, count: int) -> set[int]:
    """0, and about ``count`` whole numbers from 1 to ``last`` in about equal ratios."""
    return {0, *(round(last ** (part / count)) for part in range(count + 1))}


def ever_rarer(count: int, dense: int, per_doubling: int) -> tuple[int, ...]:
    """Of the steps 0 … ``count − 1``: the first ``dense``, then ``per_doubling`` in each doubling, and the last."""
    doublings = math.ceil(math.log2(max(count, dense + 1) / dense))
    later = (round(dense * 2 ** (part / per_doubling)) for part in range(per_doubling * doublings + 1))
    return tuple(sorted({step for step in (*range(dense), *later, count - 1) if 0 <= step < count}))
