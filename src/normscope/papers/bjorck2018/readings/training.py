"""What Figs. 1, 15 and 17 read of the networks trained to the end; a diverged run counts as chance error."""

from __future__ import annotations

import math

import pandas as pd

from normscope.papers.bjorck2018.cells.training import train_resnet
from normscope.papers.shared import chance_error, filled
from normscope.protocol import NotJudgedError

_STILL_LEARNING, _LEARNT = 0.05, 0.5
_RUN = ["variant", "seed"]


def runs(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of every training run, with a column ``variant``: ``"<norm or top> <rate>"``.

    Raises:
        NotJudgedError: when no run has finished.
    """
    rows = train_resnet.rows(table)
    network = rows["norm"].where(rows["place"] == "after", rows["place"])
    return rows.assign(variant=[f"{name} {rate:g}" for name, rate in zip(network, rows["rate"], strict=True)])


def by_epoch(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A measure after every epoch: columns variant, seed, epoch, value; after a divergence chance, or infinite for a
    loss.

    Raises:
        NotJudgedError: when no run has finished.
    """
    rows = runs(table)
    missing = math.inf if measure.endswith("loss") else chance_error(rows)
    lengths = rows.groupby(_RUN)["epochs"].max().reset_index()
    every = lengths.loc[lengths.index.repeat(lengths["epochs"].astype(int)), _RUN]
    every = every.assign(epoch=every.groupby(_RUN).cumcount() + 1)
    measured = rows[rows["measure"] == measure].astype({"epoch": "int64"})
    return filled(every, measured, [*_RUN, "epoch"], missing)


def at_end(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A measure after each run's last epoch: columns variant, seed, value."""
    found = by_epoch(table, measure)
    last = found.groupby(_RUN)["epoch"].transform("max")
    return found[found["epoch"] == last].drop(columns="epoch")


def refuse_unfinished(table: pd.DataFrame, *variants: str) -> None:
    """Refuse to judge runs that had not learnt their images, or still learnt when their rate was first lowered.

    They have learnt them when their training error ends below half of chance. They still learn when their training loss
    fell by more than 5 % from the second to the last quarter of the epochs before the rate was lowered.

    Raises:
        NotJudgedError: naming a run, and its error or by how much its loss still fell.
    """
    losses, errors = by_epoch(table, "train_loss"), at_end(table, "train_error")
    chance = chance_error(runs(table))
    for variant in variants:
        error = errors[errors["variant"] == variant]["value"].median()
        if not error < _LEARNT * chance:
            raise NotJudgedError(
                f"the training is too short: at {variant} {100 * error:.0f} % of the training images are still wrong"
            )
        curve = losses[losses["variant"] == variant].groupby("epoch")["value"].median()
        before = curve.iloc[: len(curve) // 2]
        quarter = max(1, len(before) // 4)
        early, late = before.iloc[-2 * quarter : -quarter].mean(), before.iloc[-quarter:].mean()
        if not late >= (1 - _STILL_LEARNING) * early:
            raise NotJudgedError(
                f"the training is too short: at {variant} the loss still falls by {100 * (1 - late / early):.0f} % "
                f"from one eighth of the {len(curve)} epochs to the next when the rate is first lowered"
            )
