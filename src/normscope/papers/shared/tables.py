"""What readings do to the rows of a table: measures as columns, and diverged runs filled in."""

from __future__ import annotations

import pandas as pd

from normscope.data.facts import guess_error
from normscope.protocol import NotJudgedError

PAPERS_CLASSES = 10
"""The number of classes of the papers' data. Training cells on data of another number have a row ``classes``."""

CHANCE_ERROR = guess_error(PAPERS_CLASSES)
"""The error of guessing among ten classes."""


def chance_error(rows: pd.DataFrame) -> float:
    """The error of guessing among the classes of the data that training cells ran on."""
    found = rows.loc[rows["measure"] == "classes", "value"]
    return CHANCE_ERROR if found.empty else guess_error(float(found.max()))


def side_by_side(rows: pd.DataFrame, measures: tuple[str, ...], keys: list[str]) -> pd.DataFrame:
    """A pivoted table: one row for every combination of ``keys``, one column for each of ``measures``.

    Rows are in the order of the keys; NaN stays.

    Raises:
        NotJudgedError: when one of the measures has no rows.
    """
    if missing := sorted({*measures} - {*rows["measure"]}):
        raise NotJudgedError(f"no rows of {' and '.join(missing)}")
    rows = rows[rows["measure"].isin(measures)]
    columns: pd.DataFrame = rows.set_index([*keys, "measure"])["value"].unstack("measure")
    return columns.reset_index()


def filled(runs: pd.DataFrame, measured: pd.DataFrame, keys: list[str], missing: float) -> pd.DataFrame:
    """The measured value of every run, and ``missing`` for a run that diverged before it was measured.

    A run that was measured has a row; if the row's value is null, nobody knows what it was, and it stays null.

    Args:
        runs: any rows of all runs.
        measured: one row for each run that was measured, with the column ``value``.
        keys: the columns that tell runs apart.
        missing: what a run without a row counts as.
    """
    found = runs[keys].drop_duplicates().merge(measured[[*keys, "value"]], how="left", indicator=True)
    is_missing = found.pop("_merge") == "left_only"
    return found.assign(value=found["value"].mask(is_missing, missing))


def errors_by_epoch(rows: pd.DataFrame, run: list[str]) -> pd.DataFrame:
    """Validation error of every run after every epoch: the columns ``run``, epoch, value. Chance after a divergence.

    Args:
        rows: rows of training cells, with their configuration's ``epochs``.
        run: the columns that tell runs apart.
    """
    epochs = pd.DataFrame({"epoch": range(1, int(rows["epochs"].max()) + 1)})
    every = rows[run].drop_duplicates().merge(epochs, how="cross")
    measured = rows[rows["measure"] == "validation_error"].astype({"epoch": "int64"})
    return filled(every, measured, [*run, "epoch"], chance_error(rows))


def at_last_epoch(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last epoch."""
    last: pd.DataFrame = runs[runs["epoch"] == runs["epoch"].max()]
    return last
