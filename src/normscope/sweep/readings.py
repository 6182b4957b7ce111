"""What a sweep's figure and summary show, read from its table.

A diverged run counts as chance error, or as an infinite loss where a sweep shows losses; and as an infinite eigenvalue
when it ended before the eigenvalue was read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from normscope.data.facts import guess_error
from normscope.errors import UnknownNameError
from normscope.protocol import NotJudgedError, select
from normscope.sweep.parsing import AS_IS, NETWORKS, network_spec
from normscope.sweep.settings import Arrangement, Sweep
from normscope.sweep.training_cell import EARLY, train_network

_ARRANGEMENT = list(Arrangement._fields)
_RUN = [*_ARRANGEMENT, "rate", "seed"]


def final_errors(table: pd.DataFrame, sweep: Sweep) -> pd.DataFrame:
    """What every run is validated by, the error or for a regression the loss, after its last epoch.

    Returns:
        One row per run: ``network``, ``norm``, ``place``, ``rate``, ``seed``, ``value``, ``diverged``.
    """
    rows = select(table, function=train_network.name)
    runs = rows[_RUN].drop_duplicates()
    last = rows[(rows["measure"] == sweep.measure) & (rows["epoch"] == sweep.epochs)]
    diverged = rows.loc[rows["measure"] == "diverged", _RUN].assign(diverged=True)
    errors = runs.merge(last[[*_RUN, "value"]], how="left").merge(diverged, how="left")
    broken = chance_error(sweep) if sweep.classifies else math.inf
    return errors.assign(value=errors["value"].fillna(broken), diverged=errors["diverged"].notna())


def eigenvalues(table: pd.DataFrame, sweep: Sweep, measure: str) -> pd.DataFrame:
    """An extreme eigenvalue early in every run, of the input of the sweep's layer or of each network's second layer.

    Args:
        table: the sweep's table.
        sweep: its settings.
        measure: ``"lambda_min"`` or ``"lambda_max"``; over the groups of a grouped convolution the extreme is taken.

    Returns:
        One row per run: ``network``, ``norm``, ``place``, ``rate``, ``seed``, ``value``.

    Raises:
        UnknownNameError: no network of the table has the sweep's layer.
    """
    rows = select(table, function=train_network.name)
    runs = rows[_RUN].drop_duplicates()
    wanted = rows[rows["measure"] == measure]
    if sweep.layer is not None and sweep.layer not in (known := wanted["layer"].unique()):
        raise UnknownNameError("layer", sweep.layer, known)
    start = wanted[wanted["step"] == 0].drop_duplicates([*_ARRANGEMENT, "layer"])
    layers = start.groupby(_ARRANGEMENT, sort=False)["layer"]
    shown = layers.agg(lambda names: sweep.layer or list(names)[:2][-1])
    wanted = wanted[wanted["step"] == early_step(sweep)].merge(shown.reset_index())
    extremes = wanted.groupby(_RUN)["value"].agg("min" if measure == "lambda_min" else "max")
    found = runs.merge(extremes.reset_index(), how="left")
    return found.assign(value=found["value"].fillna(math.inf))


def summary(table: pd.DataFrame, sweep: Sweep) -> pd.DataFrame:
    """The best and the highest stable learning rate of each line of the figure.

    Returns:
        One row per line with runs: ``label``; ``best_rate``, the rate with the smallest median error or loss;
        ``best_error``, that error or loss; ``stable_rate``, the highest rate such that no run diverged at it or at a
        lower one (NaN if there is none); ``diverged``, the number of diverged runs; ``runs``, the number of all runs.

    Raises:
        NotJudgedError: no run has finished.
    """
    errors = final_errors(table, sweep)
    rows = []
    for arrangement, label in labels(sweep).items():
        runs = runs_of(errors, arrangement)
        if runs.empty:
            continue
        medians = runs.groupby("rate")["value"].median()
        broken = runs.loc[runs["diverged"], "rate"].min()
        stable = runs.loc[~(runs["rate"] >= broken), "rate"].max()
        rows.append(
            {
                "label": label,
                "best_rate": float(medians.index[int(medians.argmin())]),
                "best_error": float(medians.min()),
                "stable_rate": float(stable),
                "diverged": int(runs["diverged"].sum()),
                "runs": len(runs),
            }
        )
    if not rows:
        raise NotJudgedError("no run has finished")
    return pd.DataFrame(rows)


def runs_of(runs: pd.DataFrame, arrangement: Arrangement) -> pd.DataFrame:
    """The rows of one network, norm and place."""
    found: pd.DataFrame = runs[(runs[_ARRANGEMENT] == list(arrangement)).all(axis=1)]
    return found


def labels(sweep: Sweep) -> dict[Arrangement, str]:
    """The label of each line of the figure: what the sweep varies of network, norm and place."""
    lines = sweep.arrangements()
    varied = [len(set(column)) > 1 for column in zip(*lines, strict=True)]
    return {line: _label(line, varied) for line in lines}


def early_step(sweep: Sweep) -> int:
    """The step after which the early spectra are read: 5, or the last step of a shorter run."""
    images = sweep.images or sweep.facts.train
    return min(EARLY, sweep.epochs * (images // sweep.batch))


def chance_error(sweep: Sweep) -> float:
    """The expected error of a random guess, ``1 − 1/classes``; for a regression the loss of the targets' mean.

    NaN where a loss of a user's own has no such level.
    """
    if sweep.classifies:
        return guess_error(sweep.facts.outputs)
    return math.nan if sweep.chance is None else sweep.chance


def _label(line: Arrangement, varied: Sequence[bool]) -> str:
    (network, norm, place), (networks, norms, places) = line, varied
    named = {AS_IS: "as it is", "none": "no norm"}.get(norm, norm)
    parts = [network] if networks else []
    if norms or (norm != AS_IS and not networks and not places):
        parts.append(named)
    if places and norm not in (AS_IS, "none"):
        parts.append(place if norms or norm == AS_IS else f"{norm} {place}")
    return ", ".join(parts) or (network if network_spec(network).name not in NETWORKS else named)
