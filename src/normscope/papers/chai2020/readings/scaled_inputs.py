"""What Fig. 4 and its claims read from the table: the eigenvalues after scaling, and the scaled blocks' own."""

import pandas as pd

from normscope.papers.chai2020.cells.scaled_inputs import scale_channels

SETTING = ["scaling", "correlation"]
RUN = [*SETTING, "seed"]


def eigenvalues(table: pd.DataFrame) -> pd.DataFrame:
    """Each eigenvalue of each run and the scaled blocks' own: scaling, correlation, seed, index, measured, own."""
    measured, own = (
        scale_channels.rows(table, measure=measure)[[*RUN, "index", "value"]].rename(columns={"value": name})
        for measure, name in (("eigenvalue", "measured"), ("block_eigenvalue", "own"))
    )
    return measured.merge(own).sort_values([*RUN, "index"])


def distances(table: pd.DataFrame) -> pd.DataFrame:
    """How far each run's eigenvalues are from the scaled blocks' own: scaling, correlation, seed, value.

    ``Σ|λ_i − λ_i°| / Σλ_i``, both sorted; their sums are the same, the input's power.
    """
    pairs = eigenvalues(table)
    pairs = pairs.assign(gap=(pairs["measured"] - pairs["own"]).abs())
    sums = pairs.groupby(RUN)[["gap", "measured"]].sum(min_count=1)
    return (sums["gap"] / sums["measured"]).rename("value").reset_index()
