"""Which path to the autocorrelation is cheapest: how many leading dimensions go by lags."""

from __future__ import annotations

import math
from functools import lru_cache

from normscope.probes._autocorrelation.blocks import SMALL
from normscope.probes._autocorrelation.geometry import Geometry
from normscope.probes._autocorrelation.overlap import WHOLE
from normscope.probes._autocorrelation.products import SQUARE, images_at_a_time, plan, stacked_dimension
from normscope.probes._autocorrelation.stacks import stacks

# Seconds, measured on one core of a current server (AVX-512, MKL). Only their ratios matter: they say how
# many multiplications a call, a copied value or a scattered sum is worth.
MULTIPLY = 2e-11
"""A multiplication and addition at full speed in float32; float64 takes twice that."""
HALF_SPEED = {4: 24, 8: 24}
"""Channels at which a C by C product runs at half its full speed, by bytes a value."""
STACKED = {4: 14, 8: 8}
"""The same where the rows' lags are stacked into one product."""
UNFOLDED = 60
"""The same where all dimensions are unfolded."""
COPY = 1.2e-9
"""A value copied into another order."""
SCATTER = 2e-9
"""A sum added to its places in R."""
RUN = 1e-8
"""A run of neighbouring values copied where taps become neighbours."""
STACK = 4e-4
"""What stacked rows take beforehand and at the end."""
PUT = 4e-5
"""The sums of one tap of stacked rows put to their places in R."""
CALL = 2e-5
"""A product called for from Python, its views included."""
SEGMENT = 1.2e-5
"""A segment of a batched product, summed."""


@lru_cache(maxsize=4096)
def cheapest_depth(
    geometry: Geometry, batch: int, channels: int, size: tuple[int, ...], itemsize: int
) -> int:
    """The ``depth`` of `sum_of_products` with the least estimated time for one group's input."""
    depths = range(geometry.dims + 1)
    return min(depths, key=lambda depth: seconds(geometry, batch, channels, size, itemsize, depth))


def seconds(
    geometry: Geometry, batch: int, channels: int, size: tuple[int, ...], itemsize: int, depth: int
) -> float:
    """The estimated time of one path.

    Counted are the multiplications at the speed their narrowness allows, the values copied, the results of
    batched products that are added up afterwards, and the calls.
    """
    outer, out = math.prod(geometry.kernel[:depth]), geometry.output_size(size)
    inner = geometry.taps // outer
    width = channels * inner
    n = batch * math.prod(out[depth:])
    stack = stacked_dimension(geometry, depth, width)
    half = UNFOLDED if not depth else (HALF_SPEED if stack is None else STACKED)[itemsize]
    multiply = MULTIPLY * itemsize / 4 * (1 + half / width)
    copied = n * width * math.prod(size[:depth])
    copies = copied * COPY
    if stack is not None and depth < geometry.dims:
        copies += copied / (channels * geometry.kernel[-1]) * RUN
    parts = math.ceil(batch / images_at_a_time(geometry, batch, channels, size, depth, itemsize, True))
    if not depth:
        share = min(1, 0.5 + 0.5 * SQUARE / width)
        return n * width**2 * multiply * share + copies + parts * CALL
    lengths, segments, calls, pairs = _counts(
        geometry, size, depth, depth < geometry.dims and stack is not None
    )
    results = segments if depth == 1 == geometry.dims else calls * size[depth - 2 if stack is None else stack]
    overhead, once = segments * SEGMENT, pairs * CALL
    if stack is not None:  # one call for all lags of the rows, and nothing to sum until the end
        calls, overhead = calls / geometry.kernel[stack], 0.0
        once = STACK + _puts(geometry, size, depth, width * outer) * PUT
    return (
        lengths * n * width**2 * multiply
        + copies
        + (parts * results + pairs) * width**2 * SCATTER * itemsize / 4
        + parts * (calls * CALL + overhead)
        + once
    )


def _puts(geometry: Geometry, size: tuple[int, ...], depth: int, rows: int) -> int:
    """How many taps of stacked rows are put to their places one by one: none where all are looked up."""
    plans = plan(geometry, size, depth)
    found = stacks((*plans, (WHOLE,)) if depth < geometry.dims or depth == 1 else plans)
    return 0 if len(found) == 1 and rows <= SMALL else sum(stack.taps for stack in found)


@lru_cache(maxsize=4096)
def _counts(
    geometry: Geometry, size: tuple[int, ...], depth: int, whole: bool
) -> tuple[float, float, float, float]:
    """Over the computed half of the lags: pixels multiplied, segments, calls, pairs of taps."""
    plans = plan(geometry, size, depth) + ((WHOLE,),) * whole
    squares = [[lag for lag in lags if not lag.shift] for lags in plans]

    def half(count: list[list[int]], square: list[list[int]]) -> float:
        return (math.prod(map(sum, count)) + math.prod(map(sum, square))) / 2

    lengths = half([[lag.length for lag in p] for p in plans], [[lag.length for lag in p] for p in squares])
    cuts = half(
        [[len(lag.segments) for lag in p] for p in plans], [[len(lag.segments) for lag in p] for p in squares]
    )
    # The last two dimensions take one batched product a lag and column segment; those before are walked.
    walked = [[lag.length for lag in p] for p in plans[:-2]]
    rows = [[1 for _ in p] for p in plans[-2:-1]]
    last = [[len(lag.segments) for lag in plans[-1]]]
    calls = math.prod(map(sum, walked + rows + last)) / 2
    pairs = half(
        [[len(lag.pairs) for lag in p] for p in plans], [[len(lag.pairs) for lag in p] for p in squares]
    )
    return lengths, cuts, calls, pairs
