"""Numbers over seeds with their 95 % bootstrap intervals, and comparisons of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from normscope.protocol import NotJudgedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONFIDENCE = 0.95

Pairs = Collection[tuple[str, str]]
"""Comparisons by name: the first of each pair is to be smaller than the second."""

_RESAMPLES = 2_000


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number over seeds and the ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    seeds: int

    def overlaps(self, other: Estimate) -> bool:
        """Whether the two intervals share a point."""
        return self.low <= other.high and other.low <= self.high


def bootstrapped(count: int, statistic: Callable[[NDArray[np.intp]], Any]) -> Estimate:
    """The statistic of all seeds and its percentile bootstrap interval, seeds drawn with replacement.

    Args:
        count: the number of seeds.
        statistic: from positions of seeds (…, count) to values (…); a value may be infinite.

    Raises:
        NotJudgedError: with fewer than two seeds.
    """
    from scipy.stats import bootstrap

    if count < 2:
        raise NotJudgedError("one seed gives no interval: two or more are needed")
    with np.errstate(invalid="ignore"):
        drawn = bootstrap(
            (np.arange(count),),
            lambda seeds, axis: statistic(seeds),
            vectorized=True,
            n_resamples=_RESAMPLES,
            method="percentile",
            random_state=np.random.default_rng(0),
        ).bootstrap_distribution
    # Observed values, not points between two of them, so that an infinite neighbour changes nothing.
    tail = (1 - CONFIDENCE) / 2
    low = np.quantile(drawn, tail, method="lower")
    high = np.quantile(drawn, 1 - tail, method="higher")
    return Estimate(float(statistic(np.arange(count))), float(low), float(high), count)


def median(values: NDArray[np.floating[Any]]) -> Estimate:
    """The median of one value a seed, (seeds,)."""
    return bootstrapped(len(values), lambda seeds: np.median(values[seeds], axis=-1))


def ordered(pairs: Pairs, estimates: Mapping[str, Estimate]) -> bool:
    """Whether the first of every pair is smaller than the second."""
    return all(estimates[low].value < estimates[high].value for low, high in pairs)


def overlapping(pairs: Pairs, estimates: Mapping[str, Estimate]) -> str:
    """In how many comparisons the intervals overlap, in words."""
    unsure = sum(estimates[one].overlaps(estimates[other]) for one, other in pairs)
    return f"the intervals overlap in {unsure} of {len(pairs)} comparisons"


def fewest_seeds(*groups: Mapping[str, Estimate]) -> int:
    """The smallest number of seeds behind any of the estimates."""
    return min(estimate.seeds for estimates in groups for estimate in estimates.values())
