"""What Figs. 6, 7 and 8 and their claims read from the table: one row per run (and epoch), diverged runs included.

A diverged run counts as chance error from its divergence on, and as an infinite eigenvalue.
"""

import math
from typing import Any

import pandas as pd

from normscope.papers.chai2020.cells.lenet import STEPS, VARIANTS, early_spectrum, train_lenet
from normscope.papers.shared import (
    CHANCE_ERROR,
    Samples,
    at_last_epoch,
    chance_error,
    errors_by_epoch,
    filled,
)
from normscope.report.scorecard import in_words

FAILED_ERROR = 0.5
"""A variant whose error among ten classes is above this has failed."""

_RUN = ["norm", "rate", "seed"]


def failed_error(table: pd.DataFrame) -> float:
    """The error above which a variant has failed: 50 % of ten classes, and as large a share of chance of others."""
    return FAILED_ERROR / CHANCE_ERROR * chance_error(train_lenet.rows(table))


def failed_remark(table: pd.DataFrame) -> str:
    """What a claim that speaks of 50 % error adds on data of another number of classes than ten; else empty."""
    chance, failed = chance_error(train_lenet.rows(table)), failed_error(table)
    if chance == CHANCE_ERROR:
        return ""
    levels = [in_words("error", level, 3) for level in (chance, failed)]
    return f"a guess errs in {levels[0]} here, so that {levels[1]} takes the place of 50 %"


def validation_errors(table: pd.DataFrame) -> pd.DataFrame:
    """Validation error of every run after every epoch: columns norm, rate, seed, epoch, value."""
    return errors_by_epoch(train_lenet.rows(table), _RUN)


def final_errors(table: pd.DataFrame) -> pd.DataFrame:
    """Validation error of every run after its last epoch: columns norm, rate, seed, epoch, value."""
    return at_last_epoch(validation_errors(table))


def early_eigenvalues(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """``lambda_min`` or ``lambda_max`` of the second convolution's input after 5 steps: norm, rate, seed, value."""
    rows = early_spectrum.rows(table)
    wanted = (rows["measure"] == measure) & (rows["step"] == STEPS) & (rows["layer"] == "conv2")
    return filled(rows, rows[wanted], _RUN, math.inf)


def by_variant(unit: str, runs: pd.DataFrame, **conditions: Any) -> Samples:
    """The paper's four variants among the runs that meet the conditions; ``unit`` says what the numbers are.

    Raises:
        NotJudgedError: when a variant has no such run.
    """
    return Samples.of(unit, runs, VARIANTS, **conditions)
