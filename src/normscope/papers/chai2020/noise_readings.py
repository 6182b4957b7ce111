"""What Fig. 10 and its claims read from the table, each number with an interval over seeds.

*Jitter* of a run: the standard deviation of the epoch-to-epoch change of its validation error, over the last half of
the epochs. *Sensitivity* to noise: for each seed the jitter with noise over the jitter without, the median over seeds.
*Band*: the distance between the quartiles over seeds, averaged over the last half of the epochs. *Settled error*: the
mean over the last fifth of the epochs, the median over seeds. *Rise*: the settled error with noise over that without.
A run that ends at chance has failed: its jitter, and any sensitivity it enters, is infinite.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from normscope.papers.chai2020.noise import ARRANGEMENTS, train_arrangement
from normscope.papers.chai2020.readings import errors_by_epoch
from normscope.protocol import NotJudgedError, select

if TYPE_CHECKING:
    from numpy.typing import NDArray

FAILED_ERROR = 0.85
"""A run whose last error is above this has failed: one class for every digit gives 0.89 to 0.91."""

CONFIDENCE = 0.95

FEWEST_CHANGES = 4
"""Of the error from epoch to epoch, below which their standard deviation says nothing."""

_RESAMPLES = 2_000
_ROUNDING = 1e-9

_RUN = ["arrangement", "rate", "noise", "seed"]


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


def error_curves(table: pd.DataFrame) -> pd.DataFrame:
    """Validation error: a row a run, named by arrangement, rate, noise and seed, and a column an epoch."""
    errors = errors_by_epoch(select(table, function=train_arrangement.name), _RUN)
    return errors.pivot(index=_RUN, columns="epoch", values="value").sort_index()


def curves_of(errors: pd.DataFrame, arrangement: str, rate: float, noise: float) -> pd.DataFrame:
    """The curves of one line of the figure: a row a seed, a column an epoch.

    Raises:
        NotJudgedError: when there are fewer than two seeds: no interval can be had.
    """
    label = f"{ARRANGEMENTS[arrangement].label} at rate {rate:g} and noise {noise:g}"
    try:
        curves: pd.DataFrame = errors.loc[(arrangement, rate, noise), :]
    except KeyError:
        raise NotJudgedError(f"no finished run of {label}") from None
    if len(curves) < 2:
        raise NotJudgedError(f"one seed of {label} gives no interval: two or more are needed")
    return curves


def jitter(curves: pd.DataFrame) -> pd.Series[float]:
    """Of each seed: the standard deviation of the change of the error from epoch to epoch, over the last half.

    Raises:
        NotJudgedError: with too few changes in the last half.
    """
    changes = _last(curves.diff(axis=1).iloc[:, 1:], curves.shape[1] // 2)
    if changes.shape[1] < FEWEST_CHANGES:
        needed = 2 * FEWEST_CHANGES
        raise NotJudgedError(
            f"{curves.shape[1]} epochs are too few for a jitter: {needed} or more are needed"
        )
    spread = changes.std(axis=1)
    spread = spread.where(spread > _ROUNDING, 0.0)
    return spread.where(~_failed(curves), np.inf)


def sensitivity(errors: pd.DataFrame, arrangement: str, rate: float, noise: float) -> Estimate:
    """Jitter with noise over jitter without, seed by seed; the median over the seeds that have both."""
    quiet = jitter(curves_of(errors, arrangement, rate, 0.0))
    noisy = jitter(curves_of(errors, arrangement, rate, noise))
    pairs = pd.DataFrame({"quiet": quiet, "noisy": noisy}).dropna()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(
            pairs["quiet"] == pairs["noisy"], 1.0, pairs["noisy"].to_numpy() / pairs["quiet"].to_numpy()
        )
    ratios[np.isinf(pairs).any(axis=1)] = np.inf
    return _estimate(len(ratios), lambda seeds: np.median(ratios[seeds], axis=-1))


def jitter_with_noise(errors: pd.DataFrame, arrangement: str, rate: float, noise: float) -> Estimate:
    """The median jitter over seeds, as a share of all test images."""
    values = jitter(curves_of(errors, arrangement, rate, noise)).to_numpy()
    return _estimate(len(values), lambda seeds: np.median(values[seeds], axis=-1))


def band(errors: pd.DataFrame, arrangement: str, rate: float, noise: float) -> Estimate:
    """The distance between the quartiles over seeds, averaged over the last half of the epochs."""
    curves = curves_of(errors, arrangement, rate, noise)
    values = _last(curves, curves.shape[1] // 2).to_numpy()

    def width(seeds: NDArray[np.intp]) -> Any:
        low, high = np.quantile(values[seeds], (0.25, 0.75), axis=-2)
        return (high - low).mean(axis=-1)

    return _estimate(len(values), width)


def settled_error(errors: pd.DataFrame, arrangement: str, rate: float, noise: float) -> Estimate:
    """The mean error over the last fifth of the epochs, the median over seeds."""
    values = _settled(curves_of(errors, arrangement, rate, noise)).to_numpy()
    return _estimate(len(values), lambda seeds: np.median(values[seeds], axis=-1))


def rise(errors: pd.DataFrame, arrangement: str, rate: float, noise: float) -> Estimate:
    """The settled error with noise over that without, seed by seed; the median over the seeds that have both."""
    quiet = _settled(curves_of(errors, arrangement, rate, 0.0))
    noisy = _settled(curves_of(errors, arrangement, rate, noise))
    ratios = (noisy / quiet).dropna().to_numpy()
    return _estimate(len(ratios), lambda seeds: np.median(ratios[seeds], axis=-1))


def overlapping(pairs: Collection[tuple[str, str]], estimates: Mapping[str, Estimate]) -> str:
    """How many of the compared pairs the intervals cannot tell apart, in words."""
    unsure = sum(estimates[one].overlaps(estimates[other]) for one, other in pairs)
    return f"the intervals overlap in {unsure} of {len(pairs)} comparisons"


def _estimate(count: int, statistic: Callable[[NDArray[np.intp]], Any]) -> Estimate:
    """The statistic of all seeds and its percentile bootstrap interval, seeds drawn with replacement.

    Args:
        count: how many seeds.
        statistic: from places of seeds ``(…, count)`` to values ``(…)``; it may be infinite.
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
    # Observed values, not points between them: these stay exact beside infinities.
    tail = (1 - CONFIDENCE) / 2
    low = np.quantile(drawn, tail, method="lower")
    high = np.quantile(drawn, 1 - tail, method="higher")
    return Estimate(float(statistic(np.arange(count))), float(low), float(high), count)


def _failed(curves: pd.DataFrame) -> pd.Series[bool]:
    return curves.iloc[:, -1] > FAILED_ERROR


def _settled(curves: pd.DataFrame) -> pd.Series[float]:
    return _last(curves, max(1, curves.shape[1] // 5)).mean(axis=1)


def _last(curves: pd.DataFrame, count: int) -> pd.DataFrame:
    return curves.iloc[:, curves.shape[1] - count :]
