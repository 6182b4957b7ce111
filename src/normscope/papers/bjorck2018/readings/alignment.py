"""What Tables 1 and 4 and Figs. 22 and 23 read from the table, and the numbers that the paper prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018.cells.alignment import (
    SUMS,
    layer_alignment,
    weight_alignment,
    weight_terms,
)
from normscope.papers.bjorck2018.layers import NETWORKS, layer_name, layer_number
from normscope.papers.bjorck2018.readings.gradients import at_papers_depth
from normscope.papers.shared import Samples, side_by_side
from normscope.protocol import CellFunction, NotJudgedError, select

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORDS = dict(zip(SUMS, ("Σ|d|", "Σ_b|Σ_xy d|", "Σ_xy|Σ_b d|", "|Σ d|"), strict=True))
"""The paper's four columns, from left to right."""

LAYERS = (18, 54, 90)
"""The layers of Table 1."""

BATCH = 128
"""The paper's batch: the more images it has, the more terms cancel."""

MICRO = 1e-6
"""The unit in which the table is shown."""

_MISSING = float("nan")

_PUBLISHED: Mapping[tuple[str, int], tuple[float, float, float, float]] = {
    ("batch", 18): (74.4509, 4.56393, 13.0080, 0.295631),
    ("batch", 54): (19.0210, 2.49563, 3.31031, 0.168555),
    ("batch", 90): (6.62426, 3.24293, 1.12625, 0.162689),
    ("none", 18): (63.1433, 36.5324, 40.6954, 36.3081),
    ("none", 54): (219.251, 86.3927, 154.601, 83.5946),
    ("none", 90): (259.182, 159.253, 180.002, 123.079),
    ("batch", 19): (_MISSING, _MISSING, 9.15506, 0.262803),
    ("batch", 55): (_MISSING, _MISSING, 2.82755, 0.170799),
    ("batch", 91): (_MISSING, _MISSING, 0.909220, 0.198679),
    ("none", 19): (_MISSING, _MISSING, 29.0620, 19.5912),
    ("none", 55): (_MISSING, 20.8266, 45.0409, 19.5185),
    ("none", 91): (_MISSING, 86.1152, 93.1557, 64.6625),
}
"""Table 1 and, for the layers after them, the extended Table 4, in millionths, in the order of the columns.

The extended table's first column and most of its second are not in the text of the paper that we have, nor are the
names of its rows: each layer of Table 1 is followed by one more row, which is read as the next layer. Two numbers are
printed without the "e" of their exponent (2.49563-06 and 9.15506-06).
"""


def published(norm: str, number: int) -> dict[str, float]:
    """The paper's numbers of a layer by column, in millionths; NaN where they are unknown, empty for other layers."""
    row = _PUBLISHED.get((norm, number))
    return {} if row is None else dict(zip(SUMS, row, strict=True))


def at_papers_settings(function: CellFunction[Any], table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a cell function on networks of the paper's depth and batches of its size.

    Raises:
        NotJudgedError: when there are none.
    """
    rows = at_papers_depth(function, table)
    if (rows["batch"] != BATCH).all():
        sizes = ", ".join(f"{size:g}" for size in sorted(rows["batch"].unique()))
        raise NotJudgedError(
            f"the paper's batch has {BATCH} images, and this one {sizes}: the more images, the more terms cancel"
        )
    return select(rows, batch=BATCH)


def four_sums(table: pd.DataFrame) -> pd.DataFrame:
    """Each layer of each run: norm, seed, number, and the columns :data:`SUMS`."""
    rows = at_papers_settings(layer_alignment, table)
    rows = rows.assign(number=rows["layer"].map(layer_number))
    return side_by_side(rows, SUMS, ["norm", "seed", "number"])


def medians(sums: pd.DataFrame) -> pd.DataFrame:
    """The median over seeds of each column, in millionths, by (norm, number)."""
    return sums.groupby(["norm", "number"])[list(SUMS)].median() / MICRO


def column_ratio(sums: pd.DataFrame, number: int) -> Samples:
    """``Σ|d| / |Σ d|`` of a layer, of each network and seed."""
    rows = select(sums, number=number)
    with np.errstate(divide="ignore", invalid="ignore"):
        runs = rows.assign(value=rows["abs_terms"] / rows["abs_gradient"])
    return Samples.of(f"Σ|d| / |Σ d|, layer {number},", runs, NETWORKS)


def one_column(sums: pd.DataFrame, number: int, norm: str, column: str) -> dict[int, float]:
    """A column of a layer by seed.

    Raises:
        NotJudgedError: when no run has the layer.
    """
    rows = select(sums, number=number, norm=norm)
    if rows.empty:
        raise NotJudgedError(f"no finished run of {NETWORKS[norm]} at layer {number}")
    return dict(zip(rows["seed"].tolist(), rows[column].tolist(), strict=True))


def by_weight(table: pd.DataFrame, layer: int) -> pd.DataFrame:
    """Each weight of a layer of each run: norm, seed, index, abs_terms, abs_gradient, ratio (NaN without any term)."""
    rows = select(at_papers_settings(weight_alignment, table), layer=layer_name(layer))
    weights = side_by_side(rows, ("abs_terms", "abs_gradient"), ["norm", "seed", "index"])
    with np.errstate(divide="ignore", invalid="ignore"):
        return weights.assign(ratio=weights["abs_gradient"] / weights["abs_terms"])


def of_pick(table: pd.DataFrame, pick: str, measure: str, layer: int) -> pd.DataFrame:
    """A measure of the weight that was picked in each run: norm, seed, value."""
    rows = select(
        at_papers_settings(weight_terms, table), measure=f"{pick}_{measure}", layer=layer_name(layer)
    )
    return rows[["norm", "seed", "value"]]


def distance(table: pd.DataFrame, pick: str, layer: int) -> pd.DataFrame:
    """How far the terms' mean is from 0 in units of their standard deviation: norm, seed, value."""
    means, stds = (of_pick(table, pick, measure, layer) for measure in ("mean", "std"))
    both = means.merge(stds, on=["norm", "seed"], suffixes=("", "_std"))
    with np.errstate(divide="ignore", invalid="ignore"):
        return both.assign(value=both["value"].abs() / both["value_std"])[["norm", "seed", "value"]]


def terms_histogram(
    table: pd.DataFrame, pick: str, norm: str, layer: int
) -> tuple[NDArray[Any], NDArray[Any], dict[str, float]]:
    """Edges and counts of the terms of a picked weight in the run of the first seed, and its numbers by name."""
    rows = select(at_papers_settings(weight_terms, table), norm=norm, layer=layer_name(layer))
    run = select(rows, seed=rows["seed"].min())
    edges, counts = (
        select(run, measure=f"{pick}_{measure}").sort_values("index")["value"].to_numpy()
        for measure in ("bin_edge", "bin_count")
    )
    names = ("weight", "alignment", "mean", "std", "zeros")
    return (
        edges,
        counts,
        {name: float(select(run, measure=f"{pick}_{name}")["value"].item()) for name in names},
    )
