"""What Figs. 5, 6 and 24 read from the table: which update makes a network diverge, and what is found on lines.

A loss or moment that is not finite counts as +∞: it has left the range of the floating-point type.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from normscope import stability
from normscope.papers.bjorck2018.cells.diverging import FirstSteps, first_steps
from normscope.papers.bjorck2018.cells.landscapes import GradientLine
from normscope.papers.bjorck2018.layers import layer_number
from normscope.papers.bjorck2018.profiles.diverging import DivergingProfile
from normscope.protocol import Cell, CellFunction, NotJudgedError
from normscope.stability import Outcome

NORM = "none"
"""Figs. 5 and 6 are of the unnormalized network."""


def outcomes(table: pd.DataFrame) -> dict[int, dict[float, int | None]]:
    """By seed and rate: the step whose loss exceeded the limit; ``None`` for a run that did not diverge."""
    if "function" not in table or not (table["function"] == first_steps.name).any():
        return {}
    found: dict[int, dict[float, int | None]] = {}
    rows = first_steps.rows(table)
    for seed, rate in rows[["seed", "rate"]].drop_duplicates().itertuples(index=False):
        step = rows.loc[
            (rows["seed"] == seed) & (rows["rate"] == rate) & (rows["measure"] == "diverged"), "step"
        ]
        found.setdefault(int(seed), {})[float(rate)] = None if step.empty else int(step.iloc[0])
    return found


def search_cells(
    profile: DivergingProfile,
    table: pd.DataFrame,
    line: CellFunction[Any],
    points: Iterable[float],
    times: float,
) -> list[Cell]:
    """The first runs of each seed, and further ones down to a rate that does not diverge; then a line.

    Args:
        profile: the settings.
        table: the rows so far.
        line: measures the line along the update that made the network diverge at the lowest diverging rate.
        points: where, as shares of the line's length.
        times: the line's length in updates.
    """
    cells, known = [], outcomes(table)
    for seed in range(profile.seeds):
        tried = known.get(seed, {})
        ended = {rate: Outcome.SURVIVED if tried[rate] is None else Outcome.EXCEEDED for rate in tried}
        following = stability.next_rate(ended, profile.rates)
        first = profile.rates[: profile.at_once]
        wanted = [rate for rate in profile.rates if rate in tried or rate == following or rate in first]
        settings = (profile.data, profile.images, profile.depth)
        cells += [
            first_steps.cell(
                FirstSteps(NORM, rate, seed, *settings, steps=profile.steps, batch=profile.batch)
            )
            for rate in wanted
        ]
        rate, step = _lowest_diverging(tried)
        if set(wanted) == set(tried) and step > 1:
            alphas = tuple(times * rate * share for share in points)
            config = GradientLine(NORM, rate, step - 1, seed, *settings, alphas, batch=profile.batch)
            cells.append(line.cell(config))
    return cells


def _lowest_diverging(tried: dict[float, int | None]) -> tuple[float, int]:
    """The lowest rate at which a seed diverged, and the step whose loss exceeded the limit; (0, 0) if none did."""
    diverged = [(rate, step) for rate, step in tried.items() if step is not None]
    return min(diverged, default=(0.0, 0))


def updates(table: pd.DataFrame) -> pd.DataFrame:
    """The lowest diverging rate of each seed and the update that made it diverge: seed, rate, update.

    Raises:
        NotJudgedError: when no run diverged after an update.
    """
    found = [(seed, *_lowest_diverging(tried)) for seed, tried in outcomes(table).items()]
    rows = [(seed, rate, step - 1) for seed, rate, step in found if step > 1]
    if not rows:
        first_steps.rows(table)  # raises where nothing has been tried
        raise NotJudgedError("no run diverged after an update")
    return pd.DataFrame(rows, columns=["seed", "rate", "update"])


def search_remark(table: pd.DataFrame) -> str:
    """How many seeds diverge at which lowest rate, in which update, and how many diverge at every rate tried."""
    found = updates(table)
    by_rate = found["rate"].value_counts().sort_index()
    rates = ", ".join(f"{rate:g} ({count})" for rate, count in by_rate.items())
    numbers = " or ".join(str(number) for number in sorted(found["update"].unique()))
    remark = f"the smallest diverging rates are {rates} (number of seeds), in update {numbers}"
    open_ended = [seed for seed, tried in outcomes(table).items() if None not in tried.values()]
    return f"{remark}; {len(open_ended)} diverged at every rate that was tried" if open_ended else remark


def points_of(function: CellFunction[Any], table: pd.DataFrame, measure: str = "loss") -> pd.DataFrame:
    """A measure at each point of each line: norm, at_step, rate, seed, layer, index, alpha, share, value.

    ``share`` is α in units of the line's length.

    Raises:
        NotJudgedError: when there is none.
    """
    keys = ["norm", "at_step", "rate", "seed", "index"]
    rows = function.rows(table)
    alphas = rows.loc[rows["measure"] == "alpha", [*keys, "value"]].rename(columns={"value": "alpha"})
    found = rows.loc[rows["measure"] == measure, [*keys, "layer", "value"]].merge(alphas, on=keys)
    if found.empty:
        raise NotJudgedError(f"no line of {function.name} has been measured")
    longest = found.groupby(keys[:-1])["alpha"].transform("max")
    value = found["value"].where(found["value"].abs() < math.inf, math.inf)
    return found.assign(value=value, share=found["alpha"] / longest).sort_values([*keys[:-1], "alpha"])


def growth_by_layer(function: CellFunction[Any], table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A moment at the end of each line in units of that at its start, layer by layer: seed, number, value.

    ``number`` is the paper's number of the layer.
    """
    points = points_of(function, table, measure)
    start, end = (points[points["share"] == share].set_index(["seed", "layer"])["value"] for share in (0, 1))
    grown = (end / start).fillna(math.inf).rename("value").reset_index()
    return grown.assign(number=grown["layer"].map(layer_number)).sort_values(["seed", "number"])


def growth_by_third(grown: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """The median growth over the lower and over the upper third of the layers, of each seed."""
    lowest, highest = grown["number"].min(), grown["number"].max()
    third = (highest - lowest + 1) / 3
    lower = grown[grown["number"] < lowest + third]
    upper = grown[grown["number"] > highest - third]
    return lower.groupby("seed")["value"].median(), upper.groupby("seed")["value"].median()
