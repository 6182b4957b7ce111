"""The plan of an autocorrelation: every decision, made once from the shape of the input."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from normscope.probes._autocorrelation.geometry import Geometry
from normscope.probes._autocorrelation.lags import WHOLE, Lags, combinations_of, lags_along
from normscope.probes._autocorrelation.stacks import Stack, stacks_of

WIDE = 128
"""Width from which a product is fast by itself; narrower rows of pixels are stacked."""

KEPT = 0.9
"""Largest size of the sums that are kept from one part of the batch to the next, as a share of the input's size."""

SMALL = 256
"""Largest number of rows of an R that is written by looking up where its entries come from."""

CHUNK = 2**20
"""Bytes of one part of the batch: it stays in the processor's cache while all lags use it."""

ACCELERATED_CHUNK = 2**28
"""The same on an accelerator, where a product must be large: starting one takes as long as millions of values."""

COLUMNS = 128
"""Least number of columns of a product, if there are so many: a shorter product spends its time on its results."""

ROOM = 0.9
"""Largest size of one part of the batch, if there are several, as a share of the input's size."""


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """How ``Σ patch patchᵀ`` of one channel group's input (B, C, *size) is computed.

    Attributes:
        geometry: the convolution, with zero padding.
        batch: B.
        channels: C.
        size: number of pixels of each spatial dimension.
        itemsize: bytes of one sum.
        depth: number of leading dimensions that go by lags. The others are unfolded, which makes a row of the products
            of each channel and tap.
        unfolded: geometry of the unfolded dimensions.
        width: number of rows of the products, C times the unfolded taps.
        lags: the lags of each dimension that goes by lags. The pixels of the last dimension are columns of the
            products. If only unfolded dimensions follow the stacked one, a dimension of one pixel (`WHOLE`) is added.
        kernel: number of taps of each dimension in ``lags``.
        strides: stride of each dimension in ``lags``.
        stacks: the lags as stacks of the last dimension but one; empty if it is not stacked.
        combinations: the lags as combinations of one lag of each dimension; empty if there are stacks.
        kept: whether sums are kept from one part of the batch to the next; otherwise they are added to R at once.
        looked_up: whether R is written in one go, by looking up where each entry comes from.
        examples: number of examples in one part of the batch.
    """

    geometry: Geometry
    batch: int
    channels: int
    size: tuple[int, ...]
    itemsize: int
    depth: int
    unfolded: Geometry
    width: int
    lags: tuple[Lags, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    stacks: tuple[Stack, ...]
    combinations: tuple[Lags, ...]
    kept: bool
    looked_up: bool
    examples: int

    @property
    def values(self) -> int:
        """Number of values of the input."""
        return self.batch * self.channels * math.prod(self.size)

    @property
    def reach(self) -> int:
        """Number of neighbours, on either side, that a row of the stacked dimension is multiplied with."""
        return self.kernel[-2] - 1 if self.stacks else 0

    @property
    def zeros(self) -> int:
        """Number of rows of padding that are stored behind the rows of the stacked dimension."""
        return min(self.geometry.padding[len(self.lags) - 2][1], self.reach) if self.stacks else 0


def plans(
    geometry: Geometry, batch: int, channels: int, size: tuple[int, ...], itemsize: int
) -> Iterator[Plan]:
    """The plans worth considering for an input (batch, channels, *size) of one group, at most one for each depth.

    Narrow rows of pixels that cannot be stacked are not worth it, unless they are the whole image.
    """
    for depth in range(geometry.dims + 1):
        width = channels * math.prod(geometry.kernel[depth:])
        stacked = width < WIDE and _stackable(geometry, depth)
        if not depth or stacked or width >= WIDE or geometry.dims == 1:
            yield _plan(geometry, batch, channels, size, itemsize, depth, stacked)


def accelerated_plan(
    geometry: Geometry, batch: int, channels: int, size: tuple[int, ...], itemsize: int
) -> Plan:
    """The plan for an accelerator: everything is unfolded, in few parts, since many small products would wait."""
    plan = _plan(geometry, batch, channels, size, itemsize, 0, stacked=False)
    values = channels * geometry.taps * math.prod(geometry.output_size(size))
    return dataclasses.replace(plan, examples=min(batch, max(1, ACCELERATED_CHUNK // (values * itemsize))))


def _stackable(geometry: Geometry, depth: int) -> bool:
    """Whether neighbouring pixels of the last dimension before the columns can be stacked."""
    at = depth - 1 - (depth == geometry.dims)
    return at >= 0 and geometry.kernel[at] > 1 and geometry.stride[at] == geometry.dilation[at] == 1


def _plan(
    geometry: Geometry,
    batch: int,
    channels: int,
    size: tuple[int, ...],
    itemsize: int,
    depth: int,
    stacked: bool,
) -> Plan:
    unfolded = geometry.inner(depth)
    width, values = channels * unfolded.taps, batch * channels * math.prod(size)
    lags, kernel, strides = _lags(geometry, size, depth), geometry.kernel[:depth], geometry.stride[:depth]
    if stacked and depth < geometry.dims:
        lags, kernel, strides = (*lags, (WHOLE,)), (*kernel, 1), (*strides, 1)
    stacks = stacks_of(lags) if stacked else ()
    combinations = combinations_of(lags) if depth and not stacked else ()

    sums = sum(stack.sums for stack in stacks)
    sums += sum(math.prod(len(lag.segments) for lag in combination) for combination in combinations)
    kept = sums * width**2 <= KEPT * values
    every_pair = all(
        sum(len(lag.pairs) for lag in along) == taps**2 for along, taps in zip(lags, kernel, strict=True)
    )
    return Plan(
        geometry=geometry,
        batch=batch,
        channels=channels,
        size=size,
        itemsize=itemsize,
        depth=depth,
        unfolded=unfolded,
        width=width,
        lags=lags,
        kernel=kernel,
        strides=strides,
        stacks=stacks,
        combinations=combinations,
        kept=kept,
        looked_up=kept and len(stacks) == 1 and channels * geometry.taps <= SMALL and every_pair,
        examples=_examples(geometry, batch, channels, size, itemsize, depth, kept),
    )


def _lags(geometry: Geometry, size: tuple[int, ...], depth: int) -> tuple[Lags, ...]:
    """The lags of the leading ``depth`` dimensions."""
    out = geometry.output_size(size)
    columns = (size, geometry.kernel, geometry.stride, geometry.dilation, geometry.padding, out)
    return tuple(
        lags_along(n, kernel, stride, dilation, before, patches)
        for n, kernel, stride, dilation, (before, _), patches in zip(
            *(column[:depth] for column in columns), strict=True
        )
    )


def _examples(
    geometry: Geometry,
    batch: int,
    channels: int,
    size: tuple[int, ...],
    itemsize: int,
    depth: int,
    kept: bool,
) -> int:
    """As many examples as fill a chunk and make columns enough, in parts of like size."""
    width = channels * math.prod(geometry.kernel[depth:])
    positions = math.prod(geometry.output_size(size)[depth:])
    scale = 1 if kept and width < WIDE else 2  # twice as many where results are large
    lagged = 0 < depth == geometry.dims
    if lagged and scale > 1:
        return batch
    values = width * positions * math.prod(size[:depth])
    columns = positions * (size[-1] if lagged else 1)
    fit = max(scale * CHUNK // (values * itemsize), -(-scale * COLUMNS // columns))
    room = int(ROOM * batch * channels * math.prod(size)) // values
    return -(-batch // -(-batch // max(1, min(fit, room))))
