"""What Figs. 8 to 12 read from the table: singular values of products, and numbers of each product."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from normscope.papers.bjorck2018.cells.products import ENTRIES, multiply_matrices
from normscope.papers.bjorck2018.profiles.matrices import SIZE
from normscope.papers.shared import Samples
from normscope.protocol import NotJudgedError
from normscope.theory.random_matrices import ProductLaw

Array: TypeAlias = NDArray[np.float64]

Statistic: TypeAlias = Callable[[Array, int], float]
"""A number of a product's singular values, descending, and of the number of its factors M."""

GAUSSIAN = "gaussian"

_SMALLEST = slice(5, 100)
"""Of the squares in ascending order: behind the first few, which differ from draw to draw."""


def spectra(table: pd.DataFrame, entries: str = GAUSSIAN) -> dict[tuple[int, int], Array]:
    """Singular values of every draw, descending, by number of factors M and seed.

    Raises:
        NotJudgedError: when there are none with such entries.
    """
    rows = multiply_matrices.rows(table, measure="singular_value", entries=entries)
    ordered = rows.sort_values("index").groupby(["step", "seed"])["value"]
    found: dict[tuple[int, int], Array] = {}
    for key, values in ordered:
        count, seed = cast("tuple[int, int]", key)
        found[int(count), int(seed)] = values.to_numpy(dtype=np.float64)
    return found


def judged(table: pd.DataFrame, statistic: Statistic, name: str, entries: str = GAUSSIAN) -> Samples:
    """A number of each product, for a claim: by number of factors and seed.

    Raises:
        NotJudgedError: when there are no such products, or when they are smaller than the paper's.
    """
    found = spectra(table, entries)
    if not found:
        raise NotJudgedError("no finished product of matrices")
    if (size := min(map(len, found.values()))) < SIZE:
        raise NotJudgedError(f"the claim is of matrices with {SIZE:,} rows, and a matrix here has {size}")
    runs = frame(found, statistic)
    counts = sorted(runs["factors"].unique())
    words = "" if entries == GAUSSIAN else f"{ENTRIES[entries]} entries, "
    return Samples.of(name, runs, {count: f"{words}M = {count}" for count in counts}, "factors")


def frame(found: dict[tuple[int, int], Array], statistic: Statistic) -> pd.DataFrame:
    """A number of each product: the columns factors, seed, value."""
    rows = [(count, seed, statistic(values, count)) for (count, seed), values in found.items()]
    return pd.DataFrame(rows, columns=["factors", "seed", "value"])


def kurtosis(values: Array, factors: int) -> float:
    """The fourth moment about the mean in units of the squared variance: 3 for a normal distribution."""
    squares = (values - values.mean()) ** 2
    return float(np.mean(squares**2) / np.mean(squares) ** 2)


def tail(values: Array, factors: int) -> float:
    """The 99th percentile in units of the median."""
    return float(np.quantile(values, 0.99) / np.median(values))


def condition(values: Array, factors: int) -> float:
    """The condition number σ_max/σ_min; infinite for a singular matrix."""
    return float(values[0] / values[-1]) if values[-1] else np.inf


def largest(values: Array, factors: int) -> float:
    """σ_max."""
    return float(values[0])


def largest_by_law(values: Array, factors: int) -> float:
    """σ_max in units of the law's, the root of the support's upper end."""
    return float(values[0]) / math.sqrt(ProductLaw(factors).edge)


def distance(values: Array, factors: int) -> float:
    """Kolmogorov and Smirnov's distance between the squares and the law."""
    return _distance(ProductLaw(factors).cdf(values[::-1] ** 2))


def angle_distance(values: Array, factors: int) -> float:
    """Kolmogorov and Smirnov's distance between the squares' angles and the law of the angle."""
    law = ProductLaw(factors)
    return _distance(law.share_above(angles(values, factors)))


def angles(values: Array, factors: int) -> Array:
    """The angles φ of the squares (eq. 9), ascending; 0 for a square beyond the support."""
    law = ProductLaw(factors)
    return law.angle_of(np.minimum(values**2, law.edge))


def opening(values: Array, factors: int) -> float:
    """The slope of ln(share below x) against ln x over the smallest squares, in units of the law's 1/(M+1)."""
    squares = values[::-1] ** 2
    shares = (np.arange(len(squares)) + 0.5) / len(squares)
    slope, _ = np.polyfit(np.log(squares[_SMALLEST]), np.log(shares[_SMALLEST]), 1)
    return float(slope) * (factors + 1)


def _distance(shares: Array) -> float:
    """The largest distance of ascending shares from those of a uniform distribution."""
    count = len(shares)
    steps = np.arange(count + 1) / count
    return float(max(np.max(steps[1:] - shares), np.max(shares - steps[:-1])))
