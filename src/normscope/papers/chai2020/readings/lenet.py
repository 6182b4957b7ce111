"""What Figs. 6, 7 and 8 and their claims read from the table: one row per run (and epoch), diverged runs included.

A diverged run counts as chance error from its divergence on, and as an infinite eigenvalue.
"""

import math
from typing import Any

import pandas as pd

from normscope.papers.chai2020.cells.lenet import STEPS, VARIANTS, early_spectrum, train_lenet
from normscope.papers.shared import Samples, at_last_epoch, errors_by_epoch, filled

FAILED_ERROR = 0.5
"""A variant whose error is above this has failed."""

_RUN = ["norm", "rate", "seed"]


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
