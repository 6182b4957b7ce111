"""Statistics of error curves: each a number a seed, or an estimate over seeds.

Curves are a frame with a row a seed and a column an epoch. A run that ends at chance has failed: its jitter is
infinite.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from normscope.papers.shared.estimates import Estimate, bootstrapped, median
from normscope.protocol import NotJudgedError

FAILED_ERROR = 0.85
"""A run whose last error is above this has failed: guessing one of ten classes gives 0.89 to 0.91."""

FEWEST_CHANGES = 4
"""Of the error from epoch to epoch; the standard deviation of fewer says nothing."""

_ROUNDING = 1e-9


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
    failed = curves.iloc[:, -1] > FAILED_ERROR
    return spread.where(spread > _ROUNDING, 0.0).where(~failed, math.inf)


def settled(curves: pd.DataFrame) -> pd.Series[float]:
    """Of each seed: the mean error over the last fifth of the epochs."""
    return _last(curves, max(1, curves.shape[1] // 5)).mean(axis=1)


def band(curves: pd.DataFrame) -> Estimate:
    """The distance between the quartiles over seeds, averaged over the last half of the epochs."""
    values = _last(curves, curves.shape[1] // 2).to_numpy()

    def width(seeds: NDArray[np.intp]) -> Any:
        low, high = np.quantile(values[seeds], (0.25, 0.75), axis=-2)
        return (high - low).mean(axis=-1)

    return bootstrapped(len(values), width)


def jitter_estimate(noisy: pd.DataFrame) -> Estimate:
    """The median jitter over seeds, as a share of all test images."""
    return median(jitter(noisy).to_numpy())


def settled_error(noisy: pd.DataFrame) -> Estimate:
    """The mean error over the last fifth of the epochs, the median over seeds."""
    return median(settled(noisy).to_numpy())


def sensitivity(noisy: pd.DataFrame, quiet: pd.DataFrame) -> Estimate:
    """Jitter with noise over jitter without, seed by seed; the median over the seeds that have both.

    Equal jitters give 1; an infinite one gives infinity.
    """
    pairs = pd.DataFrame({"noisy": jitter(noisy), "quiet": jitter(quiet)}).dropna()
    over, under = pairs["noisy"].to_numpy(), pairs["quiet"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(over == under, 1.0, over / under)
    return median(np.where(np.isinf(pairs).any(axis=1), math.inf, ratios))


def rise(noisy: pd.DataFrame, quiet: pd.DataFrame) -> Estimate:
    """The settled error with noise over that without, seed by seed; the median over the seeds that have both."""
    return median((settled(noisy) / settled(quiet)).dropna().to_numpy())


def _last(curves: pd.DataFrame, count: int) -> pd.DataFrame:
    return curves.iloc[:, curves.shape[1] - count :]
