"""What Figs. 20 and 21 read from the table: the gradients of a kernel by the class that they come from."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

import pandas as pd

from normscope.papers.bjorck2018.cells.classes import QUANTILES, kernel_by_class
from normscope.papers.bjorck2018.layers import NETWORKS, layer_name
from normscope.papers.bjorck2018.profiles.outputs import ClassProfile
from normscope.papers.bjorck2018.readings.gradients import at_papers_depth
from normscope.papers.shared import Findings, combinations, contrasts
from normscope.protocol import Cell, NotJudgedError, select

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAYER = 52
"""The paper's kernel."""


def by_class(table: pd.DataFrame, measure: str, norm: str) -> pd.DataFrame:
    """A measure of every class's gradients of the kernel in the runs of a network: a row a seed, a column a class."""
    rows = select(at_papers_depth(kernel_by_class, table), kernel=LAYER, norm=norm)
    where = {} if measure == "favoured" else {"layer": layer_name(LAYER)}
    return select(rows, measure=measure, **where).pivot(index="seed", columns="channel", values="value")


def favourites(table: pd.DataFrame, norm: str) -> pd.Series[int]:
    """By seed: the class into which a network puts most images."""
    found: pd.Series[int] = by_class(table, "favoured", norm).dropna(how="all").idxmax(axis=1)
    return found


def favourite_and_others(
    table: pd.DataFrame, measure: str, norm: str
) -> tuple[pd.Series[float], pd.Series[float]]:
    """By seed: a measure of the favourite class's gradients, and the median of the other classes'."""
    sizes = by_class(table, measure, norm)
    own, others = {}, {}
    for seed, number in favourites(table, norm).items():
        run = sizes.T[seed]
        own[seed], others[seed] = run[number], run.drop(number).median(skipna=False)
    return pd.Series(own, dtype=float), pd.Series(others, dtype=float)


def compare_favourite(table: pd.DataFrame, measure: str, words: str, least: float) -> Findings:
    """The favourite class's gradients against the others': the claim wants ``least`` times the median without norms."""
    own, others = favourite_and_others(table, measure, "none")
    name = f"{words}, favourite class / median of the others,"
    found = Findings({f"{name} {NETWORKS['none']}": float((own / others).median())})
    found.compare(contrasts.ratio(f"{name} {NETWORKS['none']}, mean", own, others, least=least))
    with contextlib.suppress(NotJudgedError):  # BN's is not part of the claim.
        own, others = favourite_and_others(table, measure, "batch")
        found.measure({f"{name} {NETWORKS['batch']}": float((own / others).median())})
    return found


def curves(table: pd.DataFrame, norm: str) -> tuple[dict[int, NDArray[Any]], int]:
    """Of the first seed: by class the quantiles 0/200 … 200/200 of |gradient|, and the favourite class."""
    rows = select(at_papers_depth(kernel_by_class, table), kernel=LAYER, norm=norm, measure="quantile_abs")
    seed = rows["seed"].min()
    found = {
        int(str(number)): run.sort_values("index")["value"].to_numpy()
        for number, run in select(rows, seed=seed).groupby("channel")
    }
    assert all(len(one) == QUANTILES + 1 for one in found.values())
    return found, int(favourites(table, norm)[seed])


def list_cells(profile: ClassProfile) -> list[Cell]:
    """Every seed without norms, and as many as the profile says with BN."""
    normed = dataclasses.replace(profile, seeds=profile.normed_seeds)
    return [
        *combinations(kernel_by_class, profile, norm=["none"]),
        *combinations(kernel_by_class, normed, norm=["batch"]),
    ]
