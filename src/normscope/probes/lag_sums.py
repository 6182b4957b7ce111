"""The products of lagged views of an image, summed over its segments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from normscope.probes.blocks import Blocks
from normscope.probes.image import Image
from normscope.probes.overlap import Lag

WIDE = 128
"""Channels from which products one by one, each added in place, beat a batched product and its sum."""

KEPT = 0.9
"""Sums that are kept from one part of the batch to the next, as a share of the input's values, at the most."""

Lags = tuple[Lag, ...]


class LagSums:
    """The sums of one lag of each dimension after the other.

    Attributes:
        kept: the sums of all lags are small beside the input, and kept from one part of the batch to the next. Else
            each part's are added to R at once.

    Args:
        plans: the lags of each dimension.
        image: holds a part of the batch at each `add`.
        blocks: where the sums belong.
        width: channels of the image.
        values: of the whole input.
    """

    def __init__(self, plans: Sequence[Lags], image: Image, blocks: Blocks, width: int, values: int) -> None:
        self.image, self.blocks = image, blocks
        self.room = max(values // 4, 2**17)
        self.combinations = [c for c in itertools.product(*plans) if sign(c) >= 0]
        results = sum(math.prod(len(lag.segments) for lag in c) for c in self.combinations) * width**2
        self.kept = results <= KEPT * values
        self._sums: dict[tuple[int, int], Tensor] = {}

    def add(self, last: bool) -> None:
        """Add the part of the batch that the image holds; ``last``: no other follows."""
        width, matrices, inner = self.image.channels, self.image.matrices, self.blocks.inner
        for number, combination in enumerate(self.combinations):
            counts = [len(lag.segments) for lag in combination]
            square = not any(lag.shift for lag in combination)
            fit = self.room // (math.prod(counts) * width * inner) * inner
            step = width if self.kept else min(width, max(64 * inner, fit))
            for start in range(0, width, step):
                left = matrices.narrow(-2, start, min(step, width - start))
                right = matrices.narrow(-2, start, width - start) if square else matrices
                sums = self._sums.pop((number, start), None)
                if fresh := sums is None:
                    sums = matrices.new_empty(*counts, left.shape[-2], right.shape[-2])
                _add_products(sums, left, right, self.image, combination, fresh)
                if last or not self.kept:
                    self.blocks.add(combination, sums, start)
                else:
                    self._sums[number, start] = sums


class StackSums:
    """The sums of all lags of the rows at once: rows u, u+1, … beside one another are one vector of pixels.

    Wider products are faster ones, and fewer. Each row's products are added up apart, and over the rows of a segment
    at the end; the products of a pixel with rows beyond the last, which hold zeros, are of no segment.

    Attributes and arguments are those of `LagSums`; the last but one of ``plans`` is the rows'.
    """

    def __init__(self, plans: Sequence[Lags], image: Image, blocks: Blocks, width: int, values: int) -> None:
        self.image, self.blocks = image, blocks
        self.stacks = []
        results = 0
        for outer in itertools.product(*plans[:-2]):
            for column in plans[-1]:
                ahead = sign(outer)
                found = [lag for lag in plans[-2] if ahead > 0 or (ahead == 0 and sign([lag, column]) >= 0)]
                if ahead >= 0 and found:
                    stack = _Stack(outer, found, column)
                    self.stacks.append(stack)
                    results += math.prod(stack.rows) * len(column.segments) * stack.height * width**2
        self.kept = results <= KEPT * values
        self._sums: dict[tuple[int, int], Tensor] = {}

    def add(self, last: bool) -> None:
        """Add the part of the batch that the image holds; ``last``: no other follows."""
        width = self.image.channels
        for number, stack in enumerate(self.stacks):
            found = []
            for index, segment in enumerate(stack.column.segments):
                sums = self._sums.pop((number, index), None)
                if sums is None:
                    sums = self.image.matrices.new_zeros(*stack.rows, width, stack.height * width)
                self._multiply(stack, segment, sums)
                if last or not self.kept:
                    found.append(stack.cells(sums))
                else:
                    self._sums[number, index] = sums
            if found:
                at = len(stack.rows)
                cells = torch.stack(found, at) if len(found) > 1 else found[0].unsqueeze(at)
                for lag in stack.lags:
                    self.blocks.add((*stack.outer, lag, stack.column), stack.part(lag, cells))

    def _multiply(self, stack: _Stack, segment: tuple[int, int], sums: Tensor) -> None:
        image, count = self.image, stack.rows[-1]
        here, there = image.columns(stack.column, segment)
        begin = image.front + stack.cuts[0]
        for where, left, right in _walk(image.matrices, image.matrices, stack.outer, image.strides):
            a, b = left[begin : begin + count, :, here], right[begin + stack.first :, :, there]
            b = _beside(b, count, sums.shape[-1])
            torch.baddbmm(sums[where], a, b.mT, out=sums[where])


class LineSums:
    """The same of an input's only dimension, where an example's pixels are what a product sums over.

    A long segment is one product a lag, of all its pixels, with a result for each example to be added up. The short
    ones at the borders are one product a pixel, of all examples, with all lags beside one another.
    """

    kept = True

    def __init__(self, plans: Sequence[Lags], image: Image, blocks: Blocks, width: int, values: int) -> None:
        self.image, self.blocks = image, blocks
        (self.column,) = plans[-1]
        self.stack = _Stack((), [lag for lag in plans[0] if lag.shift >= 0], self.column)
        self._sums = torch.empty(0)

    def add(self, last: bool) -> None:
        """Add the part of the batch that the image holds; ``last``: no other follows."""
        stack, width = self.stack, self.image.channels
        examples = self.image.matrices.permute(2, 0, 1)
        cells = list(enumerate(itertools.pairwise(stack.cuts)))
        if not len(self._sums):
            self._sums = examples.new_zeros(len(cells), width, stack.height * width)
        long = max(stack.height, len(examples))
        for (_, length), group in itertools.groupby(cells, lambda cell: _pixels_or_segment(*cell)):
            numbers, ends = zip(*group, strict=True)
            add = self._add_segment if length >= long else self._add_pixels
            add(examples, ends[0][0], ends[-1][1], self._sums[numbers[0] : numbers[-1] + 1])
        if last:
            for lag in stack.lags:
                self.blocks.add((lag, self.column), stack.part(lag, self._sums).unsqueeze(1))

    def _add_segment(self, examples: Tensor, begin: int, end: int, sums: Tensor) -> None:
        """All pixels from ``begin`` to ``end`` to the sums of the only cell."""
        width, left = self.image.channels, examples[:, begin:end].mT
        found = self.image.scratch(len(examples), width, width)
        for lag in self.stack.lags:
            torch.bmm(left, examples[:, begin + lag.shift : end + lag.shift], out=found)
            self.stack.part(lag, sums[0]).add_(_sum(found))

    def _add_pixels(self, examples: Tensor, begin: int, end: int, sums: Tensor) -> None:
        """Each pixel from ``begin`` to ``end`` to the sums of its own cell, or of the only one."""
        left = examples[:, begin:end].permute(1, 2, 0)
        right = examples[:, begin + self.stack.first :].permute(1, 2, 0)
        right = _beside(right, end - begin, sums.shape[-1]).mT
        if len(sums) == end - begin:
            torch.baddbmm(sums, left, right, out=sums)
        else:
            sums[0] += torch.bmm(left, right).sum(0)


class _Stack:
    """All lags of the rows, for one lag of each other dimension.

    Attributes:
        first: the least shift; height: how many rows are beside one another, from that one on.
        cuts: where a segment of any of the lags begins or ends.
        rows: the segments of each outer dimension, and the rows from the first to the last cut.
        lags: those of the rows, with the cells between cuts as their segments.
    """

    def __init__(self, outer: Lags, rows: Sequence[Lag], column: Lag) -> None:
        self.outer, self.column = outer, column
        self.first = min(lag.shift for lag in rows)
        self.height = max(lag.shift for lag in rows) - self.first + 1
        self.cuts = sorted({cut for lag in rows for segment in lag.segments for cut in segment})
        self.rows = (*(len(lag.segments) for lag in outer), self.cuts[-1] - self.cuts[0])
        self.lags = [lag.cut(self.cuts) for lag in rows]

    def part(self, lag: Lag, sums: Tensor) -> Tensor:
        """One lag's of the sums of all, (…, channels, channels) of (…, channels, height times channels)."""
        width = sums.shape[-2]
        return sums.narrow(-1, (lag.shift - self.first) * width, width)

    def cells(self, sums: Tensor) -> Tensor:
        """The sums of the rows between two cuts each, (*outer segments, cells, …)."""
        dim = len(self.outer)
        parts = torch.split(sums, [end - begin for begin, end in itertools.pairwise(self.cuts)], dim)
        return torch.cat(
            [rows if rows.shape[dim] == 1 else rows.sum(dim, keepdim=True) for rows in parts], dim
        )


def _beside(pixels: Tensor, count: int, values: int) -> Tensor:
    """A view (count, values, columns) of pixels (rows, channels, columns): each with what lies behind its channels."""
    return pixels.as_strided((count, values, pixels.shape[-1]), pixels.stride())


def _pixels_or_segment(number: int, ends: tuple[int, int]) -> tuple[int, int]:
    """The same for cells of one pixel each, else each its own; and the pixels of a cell."""
    length = ends[1] - ends[0]
    return (-1 if length == 1 else number, length)


def sign(combination: Sequence[Lag]) -> int:
    """The sign of the first shift that is not zero. Of a lag and its negative only the positive one is computed."""
    first = next((lag.shift for lag in combination if lag.shift), 0)
    return (first > 0) - (first < 0)


def _add_products(
    sums: Tensor, left: Tensor, right: Tensor, image: Image, combination: Lags, fresh: bool
) -> None:
    """Add products of ``left`` (*size, a, columns) and ``right`` (*size, b, columns) to ``sums`` (*segments, a, b).

    ``fresh``: ``sums`` holds nothing yet.
    """
    lag, *rest = combination
    if not rest:
        for index, segment in enumerate(lag.segments):
            here, there = image.columns(lag, segment)
            if fresh:
                torch.mm(left[:, here], right[:, there].t(), out=sums[index])
            else:
                sums[index].addmm_(left[:, here], right[:, there].t())
        return
    results = left.shape[0] * left.shape[-2] * right.shape[-2]
    if len(rest) == 1 and right.shape[-2] < WIDE and results <= max(right.numel(), 2**18):
        _add_batched(sums, left, right, image, lag, rest[0], fresh)
        return
    stride = image.strides[-len(combination)]
    for index, (first, last) in enumerate(lag.segments):
        for q in range(first, last):
            u = stride * q + lag.phase
            started = not fresh or q > first
            _add_products(sums[index], left[u], right[u + lag.shift], image, tuple(rest), not started)


def _add_batched(
    sums: Tensor, left: Tensor, right: Tensor, image: Image, row: Lag, column: Lag, fresh: bool
) -> None:
    """The last two dimensions at once: all rows of a column segment in one batched product."""
    stride = image.strides[-2]
    low, high = row.segments[0][0], row.segments[-1][1]
    first, last = stride * low + row.phase, stride * (high - 1) + row.phase + 1
    left, right = left[first:last:stride], right[first + row.shift : last + row.shift : stride]
    for index, segment in enumerate(column.segments):
        here, there = image.columns(column, segment)
        products = image.scratch(high - low, left.shape[1], right.shape[1])
        torch.bmm(left[:, :, here], right[:, :, there].mT, out=products)
        for number, (begin, end) in enumerate(row.segments):
            found = _sum(products[begin - low : end - low])
            sums[number, index] = found if fresh else sums[number, index] + found


def _walk(
    left: Tensor, right: Tensor, outer: Sequence[Lag], strides: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], Tensor, Tensor]]:
    """Every pair of pixels of the outer dimensions, with the segment that it belongs to."""
    if not outer:
        yield (), left, right
        return
    lag = outer[0]
    for index, (first, last) in enumerate(lag.segments):
        for q in range(first, last):
            u = strides[0] * q + lag.phase
            for where, a, b in _walk(left[u], right[u + lag.shift], outer[1:], strides[1:]):
                yield (index, *where), a, b


def _sum(products: Tensor) -> Tensor:
    return products[0] if len(products) == 1 else products.sum(0)
