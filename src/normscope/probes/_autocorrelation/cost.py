"""Which plan is the cheapest, by an estimate of each plan's time."""

from __future__ import annotations

import math
from functools import lru_cache

from normscope.probes._autocorrelation.blocks import STRIP
from normscope.probes._autocorrelation.geometry import Geometry
from normscope.probes._autocorrelation.plan import Plan, accelerated_plan, plans

# Seconds, measured on one core of a server (AVX-512, MKL). Only their ratios matter: they say how many multiplications
# a call, a copied value or a scattered sum is worth.
MULTIPLY = 2e-11
"""A multiplication and addition at full speed in float32; float64 takes twice that."""
HALF_SPEED = 24
"""Width at which the product of one lag runs at half its full speed."""
STACKED = {4: 14, 8: 8}
"""The same for the lags of a stack, by bytes of a value."""
UNFOLDED = 60
"""The same where all dimensions are unfolded."""
COPY = 1.2e-9
"""A value copied into another order."""
RUN = 1e-8
"""A run of neighbouring values copied where taps become neighbours."""
SCATTER = 2e-9
"""A sum added to its place."""
CALL = 2e-5
"""A product called for from Python, its views included."""
STACK = 4e-4
"""What stacks cost before and behind their products."""
PUT = 3.5e-5
"""Adding the sums of one tap of a stack to their places in R."""


@lru_cache(maxsize=1024)
def cheapest_plan(
    geometry: Geometry, batch: int, channels: int, size: tuple[int, ...], itemsize: int, device: str = "cpu"
) -> Plan:
    """The plan with the least estimated time for an input (batch, channels, *size) of one group."""
    if device != "cpu":
        return accelerated_plan(geometry, batch, channels, size, itemsize)
    return min(plans(geometry, batch, channels, size, itemsize), key=seconds)


def seconds(plan: Plan) -> float:
    """The estimated time of a plan.

    It counts multiplications, at the speed that their width allows, values copied, results written, and calls.
    """
    width, scale = plan.width, plan.itemsize / 4
    columns = plan.batch * math.prod(plan.geometry.output_size(plan.size)[plan.depth :])
    parts = math.ceil(plan.batch / plan.examples)
    copied = columns * width * math.prod(plan.size[: plan.depth])
    copies = copied * COPY
    if not plan.depth:
        share = min(1, 0.5 + 0.5 * STRIP / width)
        return columns * width**2 * scale * MULTIPLY * (1 + UNFOLDED / width) * share + copies + parts * CALL
    if plan.stacks:
        half = STACKED[plan.itemsize]
        pixels = sum(stack.pixels for stack in plan.stacks)
        products = sum(stack.products for stack in plan.stacks)
        results = sum(stack.products * stack.rows[-1] * stack.height for stack in plan.stacks)
        once = STACK + PUT * (0 if plan.looked_up else sum(stack.taps for stack in plan.stacks))
        if plan.unfolded.dims:
            copies += copied / (plan.channels * plan.unfolded.kernel[-1]) * RUN
    else:
        half = HALF_SPEED
        pixels = sum(math.prod(lag.length for lag in lags) for lags in plan.combinations)
        products = results = sum(
            math.prod(lag.length for lag in outer) * len(last.segments) for *outer, last in plan.combinations
        )
        once = CALL * len(plan.combinations)
    pairs = math.prod(plan.kernel) * (math.prod(plan.kernel) + 1) / 2
    return (
        pixels * columns * width**2 * scale * MULTIPLY * (1 + half / width)
        + copies
        + (parts * results + pairs) * width**2 * scale * SCATTER
        + parts * products * CALL
        + once
    )
