"""What Fig. 10 and its claims read from the table; :mod:`normscope.papers.shared.curves` has their statistics."""

import pandas as pd

from normscope.papers.chai2020.cells.noise import LABELS, train_arrangement
from normscope.papers.shared import errors_by_epoch
from normscope.protocol import NotJudgedError

_RUN = ["arrangement", "rate", "noise", "seed"]


def error_curves(table: pd.DataFrame) -> pd.DataFrame:
    """Validation error: a row a run, named by arrangement, rate, noise and seed, and a column an epoch."""
    errors = errors_by_epoch(train_arrangement.rows(table), _RUN)
    return errors.pivot(index=_RUN, columns="epoch", values="value").sort_index()


def curves_of(errors: pd.DataFrame, arrangement: str, rate: float, noise: float) -> pd.DataFrame:
    """The curves of one line of the figure: a row a seed, a column an epoch.

    Raises:
        NotJudgedError: when there are fewer than two seeds, which give no interval.
    """
    label = f"{LABELS[arrangement]} at rate {rate:g} and noise {noise:g}"
    if (arrangement, rate, noise) not in errors.index:
        raise NotJudgedError(f"no finished run of {label}")
    found: pd.DataFrame = errors.loc[(arrangement, rate, noise), :]
    if len(found) < 2:
        raise NotJudgedError(f"one seed of {label} gives no interval: two or more are needed")
    return found
