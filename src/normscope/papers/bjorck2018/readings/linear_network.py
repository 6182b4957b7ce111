"""What the linear network's claims and figure read from the table: errors, losses and steps of every descent."""

from __future__ import annotations

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018.cells.linear_network import descend_linear_network
from normscope.papers.bjorck2018.profiles.matrices import SLOW
from normscope.papers.shared import side_by_side
from normscope.protocol import select

RUN = ["depth", "trained", "share", "seed"]
_VISIBLE = 1e-11
"""A movement below this share of the weights' size is rounding."""


def errors(table: pd.DataFrame) -> pd.DataFrame:
    """Of every run at every recorded step, the largest difference of any column of the weights from the closed form.

    The columns are depth, trained, share, seed, step, ``value`` and ``own``. ``value`` is in units of the largest
    column, and ``own`` in units of the column itself, each at its size at the start or at that step, whichever is
    larger. Beyond the stability bound one column grows, and its rounding reaches the others: there only ``value`` says
    anything.
    """
    columns = side_by_side(descend_linear_network.rows(table), ("error", "size"), [*RUN, "step", "index"])
    start = columns["size"].where(columns["step"] == 0).groupby([columns[key] for key in [*RUN, "index"]])
    sizes = np.maximum(columns["size"], start.transform("max"))
    columns = columns.assign(own=columns["error"] / sizes, size=sizes)
    steps = columns.groupby([*RUN, "step"])[["error", "own", "size"]]
    worst = steps.agg(_largest).reset_index()
    return worst.assign(value=worst["error"] / worst["size"])


def _largest(values: pd.Series[float]) -> float:
    """The largest value, or NaN where one is NaN."""
    return float(values.max(skipna=False))


def losses(table: pd.DataFrame, measure: str = "loss") -> pd.DataFrame:
    """The loss of every run in units of its start: depth, trained, share, seed, step, value."""
    rows = descend_linear_network.rows(table, measure=measure)[[*RUN, "step", "value"]]
    rows = rows.sort_values([*RUN, "step"])
    return rows.assign(value=rows["value"] / rows.groupby(RUN)["value"].transform("first"))


def convergence(table: pd.DataFrame) -> pd.DataFrame:
    """Steps to a hundredth at half the bound, first layer trained: depth, seed, condition, steps, steps_law, visible.

    ``visible`` says whether the slowest mode moved far enough for ``steps``, which its movement implies, to be more
    than rounding.
    """
    rows = select(descend_linear_network.rows(table), trained=1, share=SLOW)
    runs = side_by_side(rows, ("condition", "steps", "steps_law", "moved"), ["depth", "seed"])
    return runs.assign(visible=runs["moved"] > _VISIBLE)
