"""What Fig. 4 and its claims read from the table: the eigenvalues after scaling, and the scaled blocks' own."""

import pandas as pd

from normscope.papers.chai2020.cells.scaled_inputs import scale_channels
from normscope.papers.shared import side_by_side

SETTING = ["scaling", "correlation"]
RUN = [*SETTING, "seed"]


def eigenvalues(table: pd.DataFrame) -> pd.DataFrame:
    """Each eigenvalue of each run and the scaled blocks' own: scaling, correlation, seed, index, measured, own."""
    rows, measures = scale_channels.rows(table), ("eigenvalue", "block_eigenvalue")
    found = side_by_side(rows, measures, [*RUN, "index"])
    return found.rename(columns={"eigenvalue": "measured", "block_eigenvalue": "own"})


def distances(table: pd.DataFrame) -> pd.DataFrame:
    """How far each run's eigenvalues are from the scaled blocks' own: scaling, correlation, seed, value.

    ``Σ|λ_i − λ_i°| / Σλ_i``, both sorted; their sums are the same, the input's power.
    """
    pairs = eigenvalues(table)
    pairs = pairs.assign(gap=(pairs["measured"] - pairs["own"]).abs())
    sums = pairs.groupby(RUN)[["gap", "measured"]].sum(min_count=1)
    return (sums["gap"] / sums["measured"]).rename("value").reset_index()
