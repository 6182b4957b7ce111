"""The lags of neighbouring rows, which are multiplied all at once and added tap by tap."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import torch
from torch import Tensor

from normscope.probes._autocorrelation.blocks import Blocks, windowed
from normscope.probes._autocorrelation.overlap import Lag, Lags, Pairs, sign

FEW = 2
"""Rows that all taps read, as a multiple of the taps, up to which adding them up once for all is no gain."""


class Stack:
    """All lags of the rows, for one lag of each other dimension.

    Where the padding is, rows are zeros: so a tap's sum over the rows that it reads holds for all taps that it meets.

    Attributes:
        outer, lags, column: of the dimensions before the rows', of theirs, of the columns'.
        first: the least shift; height: how many rows are beside one another, from that one on.
        begin, end: the rows that any tap reads.
        core: those that all taps read, one cell in the end; each other row is one of its own. If they are few,
            ``(end, end)``: adding them up once is no gain.
        rows: the segments of each outer dimension, and the number of rows from ``begin`` to ``end``.
        count: of the cells.
        results: the products of two channels that are kept apart, of each pair of channels.
    """

    def __init__(self, outer: Lags, rows: Lags, column: Lag) -> None:
        self.outer, self.lags, self.column = outer, rows, column
        shifts = [lag.shift for lag in rows]
        self.first, self.height = min(shifts), max(shifts) - min(shifts) + 1
        windows: dict[int, tuple[int, int]] = {}
        for lag in rows:
            for i, _, first, last in lag.pairs:
                begin, end = windows.get(i, lag.segments[first])
                windows[i] = min(begin, lag.segments[first][0]), max(end, lag.segments[last - 1][1])
        begins, ends = zip(*windows.values(), strict=True)
        self.begin, self.end = min(begins), max(ends)
        low, high = max(begins), min(ends)
        self.core = (low, high) if high - low > FEW * len(windows) else (self.end, self.end)
        merged = max(self.core[1] - self.core[0] - 1, 0)
        self.rows = (*(len(lag.segments) for lag in outer), self.end - self.begin)
        self.count = self.rows[-1] - merged
        self.results = math.prod(self.rows) * len(column.segments) * self.height
        self._square = not self.first and not any(lag.shift for lag in (*outer, column))
        self._windows = tuple(
            (i, i, begin - self.begin, end - self.begin - merged)
            for i, (begin, end) in sorted(windows.items())
        )
        self._partners = [_partners(rows, i, self.first) for i in sorted(windows)]

    @property
    def taps(self) -> int:
        """Those that read any row."""
        return len(self._partners)

    def part(self, lag: Lag, sums: Tensor) -> Tensor:
        """One lag's of the sums of all, (…, channels, channels) of (…, channels, height times channels)."""
        width = sums.shape[-2]
        return sums.narrow(-1, (lag.shift - self.first) * width, width)

    def cells(self, sums: Tensor) -> Tensor:
        """The sums of each row (*outer segments, rows, …), with the core's added up."""
        dim, (low, high) = len(self.outer), self.core
        if low == high:
            return sums
        before, core, after = torch.split(sums, [low - self.begin, high - low, self.end - high], dim)
        return torch.cat([before, core.sum(dim, keepdim=True), after], dim)

    def by_tap(self, cells: Tensor) -> Tensor:
        """The sums of the rows that each tap reads (*outer segments, taps or one for all of them, …)."""
        return windowed(cells, len(self.outer), self._windows)

    def add(self, columns: list[Tensor], blocks: Blocks, alone: bool) -> None:
        """Add the sums `by_tap` (…, channels, height times channels) of each segment of the columns.

        ``alone``: R is the sums of this stack, and these are all of them.
        """
        dim, width = len(self.outer), columns[0].shape[-2]
        sums = columns[0].unsqueeze(dim + 1) if len(columns) == 1 else torch.stack(columns, dim + 1)
        for at, lag in enumerate(self.outer):
            sums = windowed(sums, at, lag.pairs)
        sums = windowed(sums, dim + 1, self.column.pairs)
        if alone and blocks.fill(sums, self._put):
            return
        if self._square:  # these products are both halves of a block
            sums[..., :width] *= 0.5
        self._put(sums, blocks)

    def _put(self, sums: Tensor, blocks: Blocks) -> None:
        # (*outer pairs, lags, column pairs, …) of each tap: neighbouring lags are neighbouring pairs
        dim, width = len(self.outer), sums.shape[-2]
        sums = sums.view(*sums.shape[:-1], self.height, width).movedim(-2, dim + 1)
        taps = blocks.by_tap(sums).unbind(dim)
        outer, column = [lag.pairs for lag in self.outer], self.column.pairs
        for number, pairs in enumerate(self._partners):
            found = taps[min(number, len(taps) - 1)]
            blocks.put((*outer, pairs, column), found.narrow(dim, pairs[0][2], len(pairs)))


@lru_cache(maxsize=1024)
def stacks(plans: tuple[Lags, ...]) -> tuple[Stack, ...]:
    """Those of the computed half of the lags of each dimension; the last but one are the rows'."""
    found = []
    for outer in itertools.product(*plans[:-2]):
        for column in plans[-1]:
            ahead = sign(outer)
            rows = tuple(lag for lag in plans[-2] if ahead > 0 or (ahead == 0 and sign([lag, column]) >= 0))
            if ahead >= 0 and rows:
                found.append(Stack(outer, rows, column))
    return tuple(found)


def _partners(rows: Lags, tap: int, first: int) -> Pairs:
    """The pairs of one tap with others, of segments that are the lags from ``first`` on."""
    found = sorted((i, j, j - i - first) for lag in rows for i, j, *_ in lag.pairs if i == tap)
    return tuple((i, j, at, at + 1) for i, j, at in found)
