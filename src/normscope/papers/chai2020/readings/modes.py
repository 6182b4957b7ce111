"""What the natural modes' claims and figure read from the table: amplitudes, time constants, excess loss."""

import numpy as np
import pandas as pd

from normscope.papers.chai2020.cells.linear_descent import descend
from normscope.papers.shared import side_by_side

_FLOOR = 1e-7
"""A mode smaller than this share of the whole weight error is compared with that share: its digits are rounding."""

_RUN = ["share", "seed"]


def amplitudes(table: pd.DataFrame) -> pd.DataFrame:
    """Each mode of each run at each recorded step: share, seed, step, index, amplitude, law, error, visible.

    ``error`` is ``|amplitude − law| / max(|law|, 1e-7 ‖v‖)``, where ‖v‖ is the size of the whole weight error by the
    law, at that step or at the start, whichever is larger. ``visible`` says whether ``|law| ≥ 1e-7 ‖v‖``.
    """
    modes = side_by_side(descend.rows(table), ("amplitude", "law"), [*_RUN, "step", "index"])
    squares = modes["law"].pow(2).groupby([modes["share"], modes["seed"], modes["step"]]).transform("sum")
    size = np.sqrt(squares)
    start = size.where(modes["step"] == 0).groupby([modes["share"], modes["seed"]]).transform("max")
    floor = _FLOOR * np.maximum(size, start)
    error = (modes["amplitude"] - modes["law"]).abs() / np.maximum(modes["law"].abs(), floor)
    return modes.assign(error=error, visible=modes["law"].abs() >= floor)


def time_constants(table: pd.DataFrame) -> pd.DataFrame:
    """Each mode's time constant in each run: share, seed, index, shrinkage ηMλ_k, measured, law, both in steps.

    Measured over the steps from the start to the last at which the law's mode is above rounding, by its amplitudes'
    ratio. A mode already below rounding after one step has none and is left out.
    """
    modes = amplitudes(table)
    timed = modes[modes["visible"] & (modes["step"] > 0)].groupby([*_RUN, "index"]).tail(1)
    start = modes.loc[modes["step"] == 0, [*_RUN, "index", "amplitude"]]
    timed = timed.merge(start, on=[*_RUN, "index"], suffixes=("", "_start"))
    ratio = (timed["amplitude"] / timed["amplitude_start"]).abs().to_numpy(dtype=np.float64)
    with np.errstate(divide="ignore"):
        measured = -timed["step"].to_numpy() / np.log(ratio)
    laws = side_by_side(descend.rows(table), ("shrinkage", "time_constant"), [*_RUN, "index"])
    found = timed[[*_RUN, "index"]].assign(measured=measured).merge(laws, on=[*_RUN, "index"])
    return found.rename(columns={"time_constant": "law"})


def excess(table: pd.DataFrame, measure: str = "excess") -> pd.DataFrame:
    """The loss above its minimum in units of its start: share, seed, step, value."""
    rows = descend.rows(table, measure=measure)[[*_RUN, "step", "value"]]
    start = rows.loc[rows["step"] == 0, [*_RUN, "value"]]
    found = rows.merge(start, on=_RUN, suffixes=("", "_start")).sort_values([*_RUN, "step"])
    return found.assign(value=found["value"] / found["value_start"]).drop(columns="value_start")
