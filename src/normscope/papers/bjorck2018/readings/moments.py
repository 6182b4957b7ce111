"""What Fig. 3 reads from the table: the moments of the convolutions' outputs by depth.

Inside a block the first and the second convolution read inputs of different sizes, so they alternate: depth is compared
at one position in the block at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018.cells.moments import channel_moments
from normscope.papers.bjorck2018.layers import NETWORKS, is_second, layer_number
from normscope.papers.bjorck2018.readings.gradients import at_papers_depth
from normscope.papers.shared import Samples
from normscope.protocol import select

FIRST, SECOND = "first", "second"

Statistic: TypeAlias = "Callable[[pd.Series[float]], float]"
"""From the moments of one run by layer number, ascending, to one number."""


def by_depth(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A measure of every convolution: norm, seed, number (of the layer), position (in the block), value.

    The stem is at no position.
    """
    rows = select(at_papers_depth(channel_moments, table), measure=measure)
    numbers = rows["layer"].map(layer_number)
    positions = [SECOND if is_second(number) else FIRST if number > 1 else "" for number in numbers]
    return rows[["norm", "seed", "value"]].assign(number=numbers, position=positions)


def along(moments: pd.DataFrame, unit: str, position: str, statistic: Statistic) -> Samples:
    """A statistic of each run's moments along one position in the block; ``unit`` is its name."""
    chosen = select(moments, position=position).sort_values("number")
    runs = [
        {"norm": norm, "seed": seed, "value": statistic(run.set_index("number")["value"])}
        for (norm, seed), run in chosen.groupby(["norm", "seed"])
    ]
    return Samples.of(unit, pd.DataFrame(runs), NETWORKS)


def first(values: pd.Series[float]) -> float:
    """The first layer's."""
    return float(values.iloc[0])


def last(values: pd.Series[float]) -> float:
    """The last layer's."""
    return float(values.iloc[-1])


def slope(values: pd.Series[float]) -> float:
    """The slope of the natural logarithm per layer, by least squares; NaN of one layer, or where a logarithm is
    not finite.
    """
    return _fitted(values)[0]


def steepness(values: pd.Series[float]) -> float:
    """The size of the slope, whatever its sign."""
    return abs(slope(values))


def fit(values: pd.Series[float]) -> float:
    """R² of the line that :func:`slope` fits to the logarithms; NaN where they are all equal or one is not finite."""
    return _fitted(values)[1]


def _fitted(values: pd.Series[float]) -> tuple[float, float]:
    numbers = values.index.to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms = np.log(values.to_numpy(dtype=float))
    if len(numbers) < 2 or not np.isfinite(logarithms).all():
        return float("nan"), float("nan")
    line = np.polynomial.Polynomial.fit(numbers, logarithms, 1)
    left = float(np.square(logarithms - line(numbers)).sum())
    total = float(np.square(logarithms - logarithms.mean()).sum())
    return float(line.convert().coef[1]), 1 - left / total if total > 0 else float("nan")
