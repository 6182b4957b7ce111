"""Three ways to sum ``patch patchᵀ``: over unfolded patches, lag by lag, or over stacks of lags.

Each reads one part of the batch after the other from an `Image` and adds it to ``total`` (G, K, K), which holds zeros
at first. At the end, of two mirrored entries, one is zero or both are halves; if R is looked up, both are whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from normscope.probes._autocorrelation.blocks import Blocks, tile_of
from normscope.probes._autocorrelation.image import Image
from normscope.probes._autocorrelation.lags import Lag, Lags
from normscope.probes._autocorrelation.plan import Plan
from normscope.probes._autocorrelation.stacks import Stack

Factors = tuple[tuple[int, ...], Tensor, Tensor]
"""Two tensors to multiply, and the segments of the outer dimensions that their product belongs to."""


class PatchSums:
    """Plain unfolding: the matrix of all patches times its transpose, of all groups together; a plan of depth 0."""

    def __init__(self, plan: Plan, image: Image, total: Tensor) -> None:
        self.image, self.total = image, total

    def add(self, last: bool) -> None:
        """Add the part of the batch that the image holds; ``last`` says that no other part follows."""
        groups, size, _ = self.total.shape
        rows, patches = tile_of(self.total), self.image.matrices.view(groups, size, -1)
        for start in range(0, size, rows):
            strip = self.total[:, start : start + rows, start:]
            strip.baddbmm_(patches[:, start : start + rows], patches[:, start:].mT)
            if last:
                strip[..., :rows] *= 0.5  # these products hold both halves of a block


class LagSums:
    """One combination of lags after the other: a plan without stacks, for one group."""

    def __init__(self, plan: Plan, image: Image, total: Tensor) -> None:
        self.plan, self.image, self.blocks = plan, image, _blocks(plan, total[0])
        self._sums: dict[int, Tensor] = {}

    def add(self, last: bool) -> None:
        """Add the part of the batch that the image holds; ``last`` says that no other part follows."""
        matrices, width = self.image.matrices, self.plan.width
        for number, lags in enumerate(self.plan.combinations):
            square = not any(lag.shift for lag in lags)
            step = self._step(lags)
            for start in range(0, width, step):
                left = matrices.narrow(-2, start, min(step, width - start))
                right = matrices.narrow(-2, start, width - start) if square else matrices
                sums = self._sums.pop(number, None)
                if sums is None:
                    counts = [len(lag.segments) for lag in lags]
                    sums = matrices.new_zeros(*counts, left.shape[-2], right.shape[-2])
                self._add_products(sums, left, right, lags)
                if self.plan.kept and not last:
                    self._sums[number] = sums
                    continue
                if square:  # these products hold both halves of a block
                    sums[..., : left.shape[-2]] *= 0.5
                self.blocks.add([lag.pairs for lag in lags], sums, start)

    def _step(self, lags: Lags) -> int:
        """How many rows are multiplied at a time: all, or as many as keep the sums small compared with the input."""
        if self.plan.kept:
            return self.plan.width
        room, taps = max(self.plan.values // 4, 2**17), self.plan.unfolded.taps
        segments = math.prod(len(lag.segments) for lag in lags)
        fit = room // (segments * self.plan.width * taps) * taps
        return min(self.plan.width, max(64 * taps, fit))

    def _add_products(self, sums: Tensor, left: Tensor, right: Tensor, lags: Lags) -> None:
        *outer, last = lags
        columns = [self.image.columns(last, segment) for segment in last.segments]
        for where, a, b in _walk(left, right, outer, self.plan.strides):
            for index, (here, there) in enumerate(columns):
                sums[(*where, index)].addmm_(a[:, here], b[:, there].t())


class StackSums:
    """One stack of lags after the other: a plan with stacks, for one group.

    Neighbouring rows are one longer vector of pixels, so products are wider and fewer. Each row has sums of its own;
    they are added up over the rows at the end.
    """

    def __init__(self, plan: Plan, image: Image, total: Tensor) -> None:
        self.plan, self.image, self.blocks = plan, image, _blocks(plan, total[0])
        self._sums: dict[tuple[int, int], Tensor] = {}
        self._viewed: Tensor | None = None
        self._factors: dict[tuple[int, int], list[Factors]] = {}

    def add(self, last: bool) -> None:
        """Add the part of the batch that the image holds; ``last`` says that no other part follows."""
        matrices, width = self.image.matrices, self.plan.width
        if self._viewed is not matrices:  # parts of one size lie in the same place, and so do their factors
            self._viewed, self._factors = matrices, {}
        for number, stack in enumerate(self.plan.stacks):
            columns = []
            for index, segment in enumerate(stack.column.segments):
                at = number, index
                if at not in self._factors:
                    self._factors[at] = list(self._views(stack, segment))
                sums = self._sums.pop(at, None)
                if sums is None:
                    sums = matrices.new_zeros(*stack.rows, width, stack.height * width)
                for where, left, right in self._factors[at]:
                    of_segment = sums[where]
                    torch.baddbmm(of_segment, left, right, out=of_segment)
                if self.plan.kept and not last:
                    self._sums[at] = sums
                else:
                    columns.append(stack.by_tap(sums))
            if columns:
                self._put(stack, stack.by_pair(columns))

    def _views(self, stack: Stack, segment: tuple[int, int]) -> Iterator[Factors]:
        """What is multiplied with what: (rows, width, columns) and (rows, columns, height·width)."""
        here, there = self.image.columns(stack.column, segment)
        matrices, rows, width = self.image.matrices, stack.rows[-1], self.plan.width
        for where, left, right in _walk(matrices, matrices, stack.outer, self.plan.strides):
            others = _vectors(right, stack.begin + stack.first, rows, stack.height * width, there)
            yield where, _vectors(left, stack.begin, rows, width, here), others.mT

    def _put(self, stack: Stack, sums: Tensor) -> None:
        if self.plan.looked_up:
            sources = _sources(self.plan, sums.shape, sums.device)
            torch.index_select(sums.reshape(-1), 0, sources, out=self.blocks.matrix.view(-1))
            return
        if stack.square:  # these products hold both halves of a block
            sums[..., : self.plan.width] *= 0.5
        stack.put(sums, self.blocks)


def _blocks(plan: Plan, matrix: Tensor) -> Blocks:
    return Blocks(matrix, plan.channels, plan.kernel, plan.unfolded.taps, taps_first=bool(plan.stacks))


def _walk(left: Tensor, right: Tensor, outer: Sequence[Lag], strides: Sequence[int]) -> Iterator[Factors]:
    """Every pair of pixels of the outer dimensions."""
    if not outer:
        yield (), left, right
        return
    lag = outer[0]
    for index, (first, last) in enumerate(lag.segments):
        for q in range(first, last):
            u = strides[0] * q + lag.phase
            for where, a, b in _walk(left[u], right[u + lag.shift], outer[1:], strides[1:]):
                yield (index, *where), a, b


def _vectors(pixels: Tensor, row: int, rows: int, values: int, columns: slice) -> Tensor:
    """A view (rows, values, columns) of pixels (rows, width, columns): the vectors that begin in ``row``, row + 1, …"""
    step, _, column = pixels.stride()
    first = pixels.storage_offset() + row * step + columns.start * column
    return pixels.as_strided((rows, values, columns.stop - columns.start), pixels.stride(), first)


@lru_cache(maxsize=64)
def _sources(plan: Plan, shape: torch.Size, device: torch.device) -> Tensor:
    """Which of the sums of this shape each entry of R is, found by putting numbers in place of the sums."""
    rows = plan.channels * plan.geometry.taps
    numbers = torch.zeros(rows, rows, dtype=torch.int64, device=device)
    places = torch.arange(1, shape.numel() + 1, device=device).view(shape)
    plan.stacks[0].put(places, _blocks(plan, numbers))
    # Of two mirrored entries one is zero, or both are sums: then one of them serves for both.
    return torch.maximum(numbers, numbers.mT).flatten() - 1
