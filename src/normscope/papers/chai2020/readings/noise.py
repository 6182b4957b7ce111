"""What Fig. 10 and its claims read from the table: error curves, and how far noise moves a network.

:mod:`normscope.papers.shared.curves` has the statistics of the curves.
"""

import contextlib
import json
from collections.abc import Iterable

import numpy as np
import pandas as pd

from normscope.papers.chai2020.cells.arrangements import LABELS
from normscope.papers.chai2020.cells.noise import displacement, noise_amplification, rise, train_arrangement
from normscope.papers.shared import Samples, errors_by_epoch
from normscope.protocol import NotJudgedError

_RUN = ["arrangement", "rate", "noise", "seed"]
_RUN_AT_RATE = ["arrangement", "seed"]

FEWEST_STEPS = 1_000
"""Noise is judged on networks that have trained at least so long; earlier, the start decides where they are."""


def error_curves(table: pd.DataFrame) -> pd.DataFrame:
    """Validation error: a row a run, named by arrangement, rate, noise and seed, and a column an epoch.

    Raises:
        NotJudgedError: when there is no run.
    """
    runs = []
    for function, columns in ((noise_amplification, {"noise": 0.0}), (train_arrangement, {})):
        with contextlib.suppress(NotJudgedError):
            runs.append(function.rows(table).assign(**columns).astype({"noise": float}))
    if not runs:
        raise NotJudgedError("no finished run of an arrangement")
    errors = errors_by_epoch(pd.concat(runs), _RUN)
    return errors.pivot(index=_RUN, columns="epoch", values="value").sort_index()


def curves_of(errors: pd.DataFrame, arrangement: str, rate: float, noise: float) -> pd.DataFrame:
    """The curves of one line of the figure: a row a seed, a column an epoch.

    Raises:
        NotJudgedError: when there are none.
    """
    if (arrangement, rate, noise) not in errors.index:
        raise NotJudgedError(f"no finished run of {LABELS[arrangement]} at rate {rate:g} and noise {noise:g}")
    found: pd.DataFrame = errors.loc[(arrangement, rate, noise), :]
    return found


def amplification(table: pd.DataFrame, names: Iterable[str], rate: float, noise: float) -> Samples:
    """The noise amplification D of arrangements at a rate: of each seed one number.

    Of a state it is the root mean square over draws, and of a seed the geometric mean over states; infinite where the
    quiet run diverged, or a draw made it diverge.

    Raises:
        NotJudgedError: when an arrangement has no run on which that noise was tried.
    """
    runs = noise_amplification.rows(table, rate=rate)
    tried = {text: noise in json.loads(text) for text in runs["noises"].unique()}
    runs = runs[runs["noises"].map(tried)]
    diverged = runs.loc[runs["measure"] == "diverged", _RUN_AT_RATE]
    squares = runs[runs["measure"] == displacement(noise)].assign(value=lambda rows: rows["value"] ** 2)
    states = squares.groupby([*_RUN_AT_RATE, "step"])["value"].mean() ** 0.5
    with np.errstate(divide="ignore"):
        by_seed = np.exp(np.log(states).groupby(_RUN_AT_RATE).mean())
    by_seed = by_seed.drop(pd.MultiIndex.from_frame(diverged), errors="ignore").reset_index()
    found = runs[_RUN_AT_RATE].drop_duplicates().merge(by_seed, how="left", indicator=True)
    found = found.assign(value=found["value"].where(found["_merge"] == "both", np.inf))
    return Samples.of("D", found, {name: LABELS[name] for name in names}, "arrangement")


def rises(table: pd.DataFrame, names: Iterable[str], rate: float, noise: float) -> dict[str, float]:
    """The rise R of the error in points, the mean over draws and states and the median over seeds, by its name."""
    rows = noise_amplification.rows(table, rate=rate, measure=rise(noise))
    means = 100 * rows.groupby(["arrangement", "seed"])["value"].mean()
    medians = means.groupby("arrangement").median()
    return {f"rise {LABELS[name]}, points": float(medians[name]) for name in names if name in medians.index}


def trained_steps(table: pd.DataFrame) -> int:
    """The number of steps after which the runs ended that noise was tried on."""
    runs = noise_amplification.rows(table)
    return int((runs["epochs"] * (runs["images"] // runs["batch"])).max())


def noise_levels(table: pd.DataFrame) -> list[float]:
    """The noises that were tried from the states of quiet runs, ascending."""
    try:
        measures = noise_amplification.rows(table)["measure"].unique()
    except NotJudgedError:
        return []
    return sorted(float(name.rpartition(" ")[2]) for name in measures if name.startswith("displacement"))
