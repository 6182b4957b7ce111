"""Stacks: all lags of a dimension's neighbouring pixels, multiplied at once and then added up tap by tap.

The pixels along that dimension are called rows here. In a 2-D image of which nothing is unfolded they are its rows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from normscope.probes._autocorrelation.blocks import Blocks, windowed
from normscope.probes._autocorrelation.lags import Lag, Lags, Pairs, sign

FEW = 2
"""Rows that all taps read are added up first if there are more of them than this multiple of the taps."""


class Stack:
    """All lags of the rows, for one lag of each other dimension.

    Padding of the rows is stored as zeros. So the sum over the rows that a tap reads is the same for every tap that it
    is paired with.

    Attributes:
        outer: one lag for each dimension before the rows.
        lags: the lags of the rows that are multiplied.
        column: the lag of the columns.
        first: the least shift among the rows' lags.
        height: number of shifts, from ``first`` on, that are multiplied at once.
        begin, end: range of the rows that any tap reads.
        core: range of the rows that all taps read, which are added up first; ``(end, end)`` if they are few.
        rows: number of segments of each outer dimension, and number of rows from ``begin`` to ``end``.
        square: whether the products at shift ``first`` hold both halves of a block: all their lags are zero.
    """

    def __init__(self, outer: Lags, rows: Lags, column: Lag) -> None:
        self.outer, self.lags, self.column = outer, rows, column
        shifts = [lag.shift for lag in rows]
        self.first, self.height = min(shifts), max(shifts) - min(shifts) + 1
        self.square = not self.first and not any(lag.shift for lag in (*outer, column))
        windows: dict[int, tuple[int, int]] = {}
        for lag in rows:
            for i, _, first, last in lag.pairs:
                begin, end = windows.get(i, lag.segments[first])
                windows[i] = min(begin, lag.segments[first][0]), max(end, lag.segments[last - 1][1])
        begins, ends = zip(*windows.values(), strict=True)
        self.begin, self.end = min(begins), max(ends)
        low, high = max(begins), min(ends)
        self.core = (low, high) if high - low > FEW * len(windows) else (self.end, self.end)
        self.rows: tuple[int, ...] = (*(len(lag.segments) for lag in outer), self.end - self.begin)
        merged = max(self.core[1] - self.core[0] - 1, 0)
        self._windows = tuple(
            (i, i, begin - self.begin, end - self.begin - merged)
            for i, (begin, end) in sorted(windows.items())
        )
        self._partners = [_partners(rows, i, self.first) for i in sorted(windows)]

    @property
    def taps(self) -> int:
        """Number of taps that read at least one row."""
        return len(self._partners)

    @property
    def sums(self) -> int:
        """Number of sums of each pair of channels, before they are added up tap by tap."""
        return math.prod(self.rows) * len(self.column.segments) * self.height

    @property
    def pixels(self) -> int:
        """Number of pairs of pixels that belong to a pair of taps."""
        others = math.prod(lag.length for lag in (*self.outer, self.column))
        return others * sum(lag.length for lag in self.lags)

    @property
    def products(self) -> int:
        """Number of batched products."""
        return math.prod(lag.length for lag in self.outer) * len(self.column.segments)

    def by_tap(self, sums: Tensor) -> Tensor:
        """The sums (*outer segments, rows, …) added up over the rows of each tap: (*outer segments, taps, …)."""
        dim, (low, high) = len(self.outer), self.core
        if low < high:
            parts = [low - self.begin, high - low, self.end - high]
            before, core, after = torch.split(sums, parts, dim)
            sums = torch.cat([before, core.sum(dim, keepdim=True), after], dim)
        return windowed(sums, dim, self._windows)

    def by_pair(self, columns: list[Tensor]) -> Tensor:
        """The sums `by_tap` of each segment of the columns, added up over the segments of each pair of taps.

        Returns:
            (*outer pairs, taps, column pairs, C, height·C); a dimension whose pairs all have the same sum has size 1.
        """
        dim = len(self.outer)
        sums = torch.stack(columns, dim + 1) if len(columns) > 1 else columns[0].unsqueeze(dim + 1)
        for at, lag in enumerate(self.outer):
            sums = windowed(sums, at, lag.pairs)
        return windowed(sums, dim + 1, self.column.pairs)

    def put(self, sums: Tensor, blocks: Blocks) -> None:
        """Add the sums `by_pair` to their places in R."""
        dim, width = len(self.outer), sums.shape[-2]
        sums = sums.view(*sums.shape[:-1], self.height, width).movedim(-2, dim + 1)
        # for each tap (*outer pairs, shifts, column pairs, …): neighbouring shifts are neighbouring pairs
        taps = blocks.by_tap(sums).unbind(dim)
        outer, column = [lag.pairs for lag in self.outer], self.column.pairs
        for number, pairs in enumerate(self._partners):
            found = taps[min(number, len(taps) - 1)]
            blocks.put((*outer, pairs, column), found.narrow(dim, pairs[0][2], len(pairs)))


def stacks_of(lags: Sequence[Lags]) -> tuple[Stack, ...]:
    """The combinations of lags that are multiplied, as stacks of the last dimension but one."""
    found = []
    for *outer, column in itertools.product(*lags[:-2], lags[-1]):
        ahead = sign(outer)
        rows = tuple(lag for lag in lags[-2] if ahead > 0 or (ahead == 0 and sign([lag, column]) >= 0))
        if rows:
            found.append(Stack(tuple(outer), rows, column))
    return tuple(found)


def _partners(rows: Lags, tap: int, first: int) -> Pairs:
    """The pairs of one tap with others; their segments are shifts, counted from ``first``."""
    found = sorted((i, j, j - i - first) for lag in rows for i, j, *_ in lag.pairs if i == tap)
    return tuple((i, j, at, at + 1) for i, j, at in found)
