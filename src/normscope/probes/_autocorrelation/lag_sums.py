"""The products of lagged views of an image, summed over its segments."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from normscope.probes._autocorrelation.blocks import Blocks
from normscope.probes._autocorrelation.image import Image
from normscope.probes._autocorrelation.overlap import Lag, Lags, sign
from normscope.probes._autocorrelation.stacks import stacks

WIDE = 128
"""Channels from which products one by one, each added in place, beat a batched product and its sum."""

KEPT = 0.9
"""Sums that are kept from one part of the batch to the next, as a share of the input's values, at the most."""

Factors = tuple[tuple[int, ...], Tensor, Tensor]
"""Two tensors to multiply, and the segments of the outer dimensions that their product belongs to."""


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

    def __init__(
        self, plans: tuple[Lags, ...], image: Image, blocks: Blocks, width: int, values: int
    ) -> None:
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
                    if square:  # these products are both halves of a block
                        sums[..., : left.shape[-2]] *= 0.5
                    self.blocks.add([lag.pairs for lag in combination], sums, start)
                else:
                    self._sums[number, start] = sums


class StackSums:
    """The sums of all lags of the rows at once: rows u, u+1, … beside one another are one vector of pixels.

    Wider products are faster ones, and fewer. Each row's products are added up apart, and over the rows at the end.

    Attributes and arguments are those of `LagSums`; the last but one of ``plans`` is the rows'.
    """

    def __init__(
        self, plans: tuple[Lags, ...], image: Image, blocks: Blocks, width: int, values: int
    ) -> None:
        self.image, self.blocks = image, blocks
        self.stacks = stacks(plans)
        results = sum(stack.results for stack in self.stacks) * width**2
        self.kept = results <= KEPT * values
        self._sums: dict[tuple[int, int], Tensor] = {}
        self._viewed: Tensor | None = None
        self._views: dict[tuple[int, int], list[Factors]] = {}

    def add(self, last: bool) -> None:
        """Add the part of the batch that the image holds; ``last``: no other follows."""
        width = self.image.channels
        if self._viewed is not self.image.matrices:
            self._views.clear()
            self._viewed = self.image.matrices
        for number, stack in enumerate(self.stacks):
            found = []
            for index, segment in enumerate(stack.column.segments):
                sums = self._sums.pop((number, index), None)
                if sums is None:
                    sums = self.image.matrices.new_zeros(*stack.rows, width, stack.height * width)
                for where, left, right in self._factors(number, index, segment):
                    of_segment = sums[where] if where else sums
                    torch.baddbmm(of_segment, left, right, out=of_segment)
                if last or not self.kept:
                    found.append(stack.by_tap(stack.cells(sums)))
                else:
                    self._sums[number, index] = sums
            if found:
                stack.add(found, self.blocks, self.kept and len(self.stacks) == 1)

    def _factors(self, number: int, index: int, segment: tuple[int, int]) -> Iterable[Factors]:
        """What to multiply with what: (rows, channels, columns) and (rows, columns, height times channels).

        The views of one part of the batch are those of the next one of its size.
        """
        stack, image = self.stacks[number], self.image
        if (number, index) in self._views:
            return self._views[number, index]
        here, there = image.columns(stack.column, segment)
        rows, values = slice(stack.begin, stack.end), stack.height * image.channels
        found = (
            (where, left[rows, :, here], _beside(right[rows, :, there], stack.first, values).mT)
            for where, left, right in _walk(image.matrices, image.matrices, stack.outer, image.strides)
        )
        if stack.outer:
            return found
        return self._views.setdefault((number, index), list(found))


class LineSums:
    """The same of an input's only dimension, where an example's pixels are what a product sums over.

    A long segment is one product a lag, of all its pixels, with a result for each example to be added up. The short
    ones at the borders are one product a pixel, of all examples, with all lags beside one another.
    """

    kept = True

    def __init__(
        self, plans: tuple[Lags, ...], image: Image, blocks: Blocks, width: int, values: int
    ) -> None:
        self.image, self.blocks = image, blocks
        (self.stack,) = stacks(plans)
        self._sums = torch.empty(0)

    def add(self, last: bool) -> None:
        """Add the part of the batch that the image holds; ``last``: no other follows."""
        stack, width = self.stack, self.image.channels
        pixels = self.image.matrices
        if not len(self._sums):
            self._sums = pixels.new_zeros(stack.count, width, stack.height * width)
        (low, high), done = stack.core, 0
        long = high - low >= max(stack.height, pixels.shape[-1])
        for begin, end in ((stack.begin, low), (low, high), (high, stack.end)):
            if begin < end:
                cells = 1 if (begin, end) == stack.core else end - begin
                add = self._add_segment if long and (begin, end) == stack.core else self._add_pixels
                add(pixels[begin:end], self._sums[done : done + cells])
                done += cells
        if last:
            stack.add([stack.by_tap(self._sums)], self.blocks, True)

    def _add_segment(self, pixels: Tensor, sums: Tensor) -> None:
        """All of these pixels (pixels, channels, examples) to the sums of the only cell."""
        _, width, examples = pixels.shape
        found = self.image.scratch(examples, width, width)
        for lag in self.stack.lags:
            torch.bmm(pixels.permute(2, 1, 0), _beside(pixels, lag.shift, width).permute(2, 0, 1), out=found)
            self.stack.part(lag, sums[0]).add_(_sum(found))

    def _add_pixels(self, pixels: Tensor, sums: Tensor) -> None:
        """Each of these pixels (pixels, channels, examples) to the sums of its own cell, or of the only one."""
        others = _beside(pixels, self.stack.first, sums.shape[-1]).mT
        if len(sums) == len(pixels):
            torch.baddbmm(sums, pixels, others, out=sums)
        else:
            sums[0] += torch.bmm(pixels, others).sum(0)


def _beside(pixels: Tensor, shift: int, values: int) -> Tensor:
    """The view (rows, values, columns) of what begins ``shift`` rows behind pixels (rows, channels, columns)."""
    rows, _, columns = pixels.shape
    first = pixels.storage_offset() + shift * pixels.stride(0)
    return pixels.as_strided((rows, values, columns), pixels.stride(), first)


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
