"""What Figs. 6, 7 and 8 and their claims read from the table: one row a run (and epoch), diverged runs counted.

A diverged run counts as chance error from its divergence on, and as an infinite eigenvalue.
"""

from __future__ import annotations

import math

import pandas as pd

from normscope.papers.chai2020.lenet import SPECTRUM_LAYER, STEPS, VARIANTS, early_spectrum, train_lenet
from normscope.protocol import NotJudgedError, select

CHANCE_ERROR = 0.9
"""Error of guessing among ten classes."""

_RUN = ["norm", "rate", "seed"]


def validation_errors(table: pd.DataFrame) -> pd.DataFrame:
    """Validation error of every run after every epoch: columns norm, rate, seed, epoch, value."""
    return errors_by_epoch(select(table, function=train_lenet.name), _RUN)


def errors_by_epoch(rows: pd.DataFrame, run: list[str]) -> pd.DataFrame:
    """Validation error after every epoch of the runs that the columns ``run`` tell apart; chance after a divergence."""
    epochs = pd.DataFrame({"epoch": range(1, int(rows["epochs"].max()) + 1)})
    every = rows[run].drop_duplicates().merge(epochs, how="cross")
    measured = rows.loc[rows["measure"] == "validation_error", [*run, "epoch", "value"]]
    errors = every.merge(measured.astype({"epoch": "int64"}), how="left")
    return errors.assign(value=errors["value"].fillna(CHANCE_ERROR))


def final_errors(table: pd.DataFrame) -> pd.DataFrame:
    """Validation error of every run after its last epoch: columns norm, rate, seed, epoch, value."""
    errors = validation_errors(table)
    last: pd.DataFrame = errors[errors["epoch"] == errors["epoch"].max()]
    return last


def early_eigenvalues(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """``lambda_min`` or ``lambda_max`` of the second convolution's input after 5 steps: norm, rate, seed, value."""
    rows = select(table, function=early_spectrum.name)
    runs = rows[_RUN].drop_duplicates()
    wanted = (rows["measure"] == measure) & (rows["step"] == STEPS) & (rows["layer"] == SPECTRUM_LAYER)
    eigenvalues = runs.merge(rows.loc[wanted, [*_RUN, "value"]], how="left")
    return eigenvalues.assign(value=eigenvalues["value"].fillna(math.inf))


def variant_medians(runs: pd.DataFrame, **conditions: float) -> dict[str, float]:
    """The median over seeds of each variant among the runs that meet the conditions.

    Raises:
        NotJudgedError: when a variant has no such run.
    """
    chosen = select(runs, **conditions)
    medians = chosen.groupby("norm")["value"].median()
    missing = [name for norm, name in VARIANTS.items() if norm not in medians.index]
    if missing:
        raise NotJudgedError(f"no finished run of {', '.join(missing)}")
    return {norm: float(medians[norm]) for norm in VARIANTS}


def seed_count(runs: pd.DataFrame, **conditions: float) -> int:
    """Over how many seeds a median of :func:`variant_medians` is taken: the fewest of any variant."""
    return int(select(runs, **conditions).groupby("norm")["seed"].nunique().min())


def by_name(medians: dict[str, float], unit: str) -> dict[str, float]:
    """Medians under the paper's names of the variants, for the scorecard."""
    return {f"{unit} {VARIANTS[norm]}": value for norm, value in medians.items()}
