"""What Fig. 24 reads from the table: up to which rate the loss falls, and whether the unnormalized run is alive."""

from __future__ import annotations

import math

import pandas as pd

from normscope.papers.bjorck2018.cells.landscapes import STEM, loss_along_gradient
from normscope.papers.bjorck2018.readings.landscapes import NORM, points_of
from normscope.protocol import NotJudgedError, select

_VANISHED = 1e-6
"""The norm of the first convolution's gradient below which nothing is learned."""


def rate_limits(table: pd.DataFrame, step: int) -> pd.DataFrame:
    """The highest rate up to which the loss falls: norm, seed, value, distance, lowest, is_last.

    It falls up to a rate if it is lower at each rate that was measured, up to that, than at the one before. That it is
    below the loss at the start is not enough: the loss of a network that has died is that of a guess, and flat. The
    rate is 0 where the loss does not even fall up to the lowest; for the unnormalized network, whose rates are wanted
    low, it is then the lowest that was measured. ``distance`` is α‖g‖, ``lowest`` the lowest rate that was measured,
    and ``is_last`` says that the loss falls up to the highest.

    Raises:
        NotJudgedError: when that step was not looked at.
    """
    rows = loss_along_gradient.rows(table)
    if not (rows["at_step"] == step).any():
        raise NotJudgedError(f"the batch of step {step} was not looked at")
    points = select(points_of(loss_along_gradient, table), at_step=step)
    gradients = rows[(rows["measure"] == "gradient_norm") & rows["layer"].isna() & (rows["at_step"] == step)]
    found = []
    for norm, seed, length in gradients[["norm", "seed", "value"]].itertuples(index=False):
        line = points[(points["norm"] == norm) & (points["seed"] == seed)]
        if len(line) < 2:
            continue
        alphas, changes = line["alpha"].iloc[1:], line["value"].diff().iloc[1:]
        falls = (changes < 0).cumprod().astype(bool)
        limit = float(alphas[falls].max()) if falls.any() else float(alphas.iloc[0]) if norm == NORM else 0.0
        found.append((norm, seed, limit, limit * length, float(alphas.iloc[0]), bool(falls.all())))
    return pd.DataFrame(found, columns=["norm", "seed", "value", "distance", "lowest", "is_last"])


def alive_seeds(table: pd.DataFrame, step: int) -> tuple[list[int], int]:
    """The seeds whose unnormalized run is alive before a step, and the number of all seeds.

    Alive is a run whose loss is finite and above that of a guess, and whose gradient has not vanished.
    """
    rows = loss_along_gradient.rows(table, norm=NORM, at_step=step)
    alive = []
    for seed in rows["seed"].unique():
        run = rows[rows["seed"] == seed]
        losses = run.loc[(run["measure"] == "loss") & (run["index"] == 0), "value"]
        stem = run.loc[(run["measure"] == "gradient_norm") & (run["layer"] == STEM), "value"]
        classes = run.loc[run["measure"] == "classes", "value"]
        if losses.empty or stem.empty or classes.empty:
            continue
        if math.log(classes.iloc[0]) < losses.iloc[0] < math.inf and stem.iloc[0] > _VANISHED:
            alive.append(int(seed))
    return alive, rows["seed"].nunique()
