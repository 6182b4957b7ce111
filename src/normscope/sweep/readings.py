"""What the figure and the summary read from a sweep's table: one row a run, diverged runs counted.

A diverged run counts as chance error, and as an infinite eigenvalue where it ended before that was read.
"""

from __future__ import annotations

import math

import pandas as pd

from normscope.data.catalogue import entry_of
from normscope.errors import UnknownNameError
from normscope.protocol import NotJudgedError, select
from normscope.sweep.parsing import AS_IS, NETWORKS, network_spec
from normscope.sweep.settings import Sweep
from normscope.sweep.training_cell import EARLY, train_network

_LINE = ["network", "norm", "place"]
_RUN = [*_LINE, "rate", "seed"]


def final_errors(table: pd.DataFrame, sweep: Sweep) -> pd.DataFrame:
    """Validation error of every run after its last epoch: network, norm, place, rate, seed, value, diverged."""
    rows = select(table, function=train_network.name)
    runs = rows[_RUN].drop_duplicates()
    last = rows[(rows["measure"] == "validation_error") & (rows["epoch"] == sweep.epochs)]
    diverged = rows.loc[rows["measure"] == "diverged", _RUN].assign(diverged=True)
    errors = runs.merge(last[[*_RUN, "value"]], how="left").merge(diverged, how="left")
    return errors.assign(
        value=errors["value"].fillna(chance_error(sweep)), diverged=errors["diverged"].notna()
    )


def eigenvalues(table: pd.DataFrame, sweep: Sweep, measure: str) -> pd.DataFrame:
    """``lambda_min`` or ``lambda_max`` early in every run, of the layer that is shown: as :func:`final_errors`.

    The layer is the sweep's, or the second of each network; of a grouped convolution it is the extreme over the groups.
    """
    rows = select(table, function=train_network.name)
    runs = rows[_RUN].drop_duplicates()
    wanted = rows[rows["measure"] == measure]
    if sweep.layer is not None and sweep.layer not in (known := wanted["layer"].unique()):
        raise UnknownNameError("layer", sweep.layer, known)
    start = wanted[wanted["step"] == 0].drop_duplicates([*_LINE, "layer"])
    shown = start.groupby(_LINE, sort=False)["layer"].agg(lambda names: sweep.layer or list(names)[:2][-1])
    wanted = wanted[wanted["step"] == early_step(sweep)].merge(shown.reset_index())
    extremes = wanted.groupby(_RUN)["value"].agg("min" if measure == "lambda_min" else "max")
    found = runs.merge(extremes.reset_index(), how="left")
    return found.assign(value=found["value"].fillna(math.inf))


def summary(table: pd.DataFrame, sweep: Sweep) -> pd.DataFrame:
    """One row a line of the figure: ``label``, ``best_rate`` (of the smallest median error), ``best_error``,
    ``stable_rate`` (the highest at which, as at all lower ones, no run diverged; NaN where there is none), and
    ``diverged`` out of ``runs``.
    """
    errors = final_errors(table, sweep)
    names = labels(sweep)
    rows = []
    for line, label in names.items():
        runs = of_line(errors, line)
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


def of_line(runs: pd.DataFrame, line: tuple[str, str, str]) -> pd.DataFrame:
    """The runs of one network, norm and place."""
    found: pd.DataFrame = runs[(runs[_LINE] == pd.Series(line, index=_LINE)).all(axis=1)]
    return found


def labels(sweep: Sweep) -> dict[tuple[str, str, str], str]:
    """The name of each line: what of network, norm and place the sweep varies."""
    lines = sweep.arrangements()
    varied = [len({line[part] for line in lines}) > 1 for part in range(3)]
    return {line: _label(line, varied) for line in lines}


def early_step(sweep: Sweep) -> int:
    """After which step the early spectra are read: 5, or the last of a shorter run."""
    images = sweep.images or entry_of(sweep.data).train
    return min(EARLY, sweep.epochs * (images // sweep.batch))


def chance_error(sweep: Sweep) -> float:
    """The error of a guess."""
    return 1 - 1 / entry_of(sweep.data).classes


def _label(line: tuple[str, str, str], varied: list[bool]) -> str:
    network, norm, place = line
    named = {AS_IS: "as it is", "none": "no norm"}.get(norm, norm)
    parts = [network] if varied[0] else []
    if varied[1] or (norm != AS_IS and not varied[0] and not varied[2]):
        parts.append(named)
    if varied[2] and norm not in (AS_IS, "none"):
        parts.append(place if varied[1] or norm == AS_IS else f"{norm} {place}")
    return ", ".join(parts) or (network if network_spec(network).name not in NETWORKS else named)
