"""Statistics of error curves: of each seed, or over seeds.

Curves are a frame with a row a seed and a column an epoch. A run that ends at chance has failed: its jitter is
infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd

from normscope.papers.shared.tables import CHANCE_ERROR
from normscope.protocol import NotJudgedError

Statistic = Callable[[pd.DataFrame], float]
"""From the curves of several seeds to one number."""

FAILED_MARGIN = 0.05
"""A run whose last error is within this of chance has failed: guessing one of ten classes gives 0.89 to 0.91."""

FEWEST_CHANGES = 4
"""Of the error from epoch to epoch; the standard deviation of fewer says nothing."""

_ROUNDING = 1e-9


def jitter(curves: pd.DataFrame, chance: float = CHANCE_ERROR) -> pd.Series[float]:
    """Of each seed: the standard deviation of the change of the error from epoch to epoch, over the last half.

    Args:
        curves: a row a seed, a column an epoch.
        chance: the error of a guess.

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
    failed = curves.iloc[:, -1] > chance - FAILED_MARGIN
    return spread.where(spread > _ROUNDING, 0.0).where(~failed, math.inf)


def settled(curves: pd.DataFrame) -> pd.Series[float]:
    """Of each seed: the mean error over the last fifth of the epochs."""
    return _last(curves, max(1, curves.shape[1] // 5)).mean(axis=1)


def band(curves: pd.DataFrame) -> float:
    """The distance between the quartiles over seeds, averaged over the last half of the epochs."""
    values = _last(curves, curves.shape[1] // 2)
    return float((values.quantile(0.75) - values.quantile(0.25)).mean())


def _last(curves: pd.DataFrame, count: int) -> pd.DataFrame:
    return curves.iloc[:, curves.shape[1] - count :]
