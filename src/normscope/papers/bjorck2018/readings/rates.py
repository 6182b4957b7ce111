"""What Tables 2 and 3 and Fig. 15 read of the trials of rates: how each ended, and the highest stable one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from normscope import stability
from normscope.papers.bjorck2018.cells.rate_trial import RateTrial, try_rate
from normscope.papers.bjorck2018.profiles.training import RateProfile
from normscope.protocol import Cell, select
from normscope.stability import Outcome

OUTCOMES = {"survived": Outcome.SURVIVED, "exceeded": Outcome.EXCEEDED, "at_chance": Outcome.AT_CHANCE}
"""Measures of a trial, of which one is 1, and what they mean."""

_SETTING = ["norm", "place", "depth", "warm_steps", "seed"]


@dataclasses.dataclass(frozen=True)
class Search:
    """A search for the highest stable rate.

    Attributes:
        trial: the setting; its rate does not matter.
        rates: the rates that may be tried, from the highest down.
    """

    trial: RateTrial
    rates: tuple[float, ...]

    @classmethod
    def of(cls, profile: RateProfile, norm: str, depth: int, seed: int, warm_steps: int = 0) -> Search:
        """The search of a profile, down to its lowest rate for that depth."""
        rates = tuple(rate for rate in profile.rates if rate >= profile.lowest.get(depth, 0))
        data, images, steps = profile.data, profile.images, profile.steps
        trial = RateTrial(norm, rates[0], seed, data, images, depth, steps, "after", profile.batch)
        return cls(dataclasses.replace(trial, warm_steps=warm_steps), rates)

    def cells(self, outcomes: Mapping[float, Outcome]) -> list[Cell]:
        """The trials so far, and the next one if the search goes on."""
        tried = [rate for rate in self.rates if rate in outcomes]
        following = stability.next_rate(outcomes, self.rates)
        rates = tried if following is None else [*tried, following]
        return [try_rate.cell(dataclasses.replace(self.trial, rate=rate)) for rate in rates]


def trials(table: pd.DataFrame) -> pd.DataFrame:
    """How every trial ended: columns norm, place, depth, warm_steps, seed, rate, outcome.

    Raises:
        NotJudgedError: when no trial has finished.
    """
    rows = try_rate.rows(table)
    ended = rows[rows["measure"].isin(OUTCOMES) & (rows["value"] == 1)]
    return ended.assign(outcome=ended["measure"].map({name: one.value for name, one in OUTCOMES.items()}))[
        [*_SETTING, "rate", "outcome"]
    ]


def highest_stable(table: pd.DataFrame) -> pd.DataFrame:
    """The highest rate that survived, of every setting and seed: norm, place, depth, warm_steps, seed, value.

    It is 0 where no rate that was tried survived.

    Raises:
        NotJudgedError: when no trial has finished.
    """
    rows = [(*setting, stability.highest(outcomes)) for setting, outcomes in _outcomes(table).items()]
    return pd.DataFrame(rows, columns=[*_SETTING, "value"])


def search_cells(table: pd.DataFrame, searches: Iterable[Search]) -> list[Cell]:
    """The trials of every search so far, and the next of each that goes on."""
    is_new = "function" not in table or not (table["function"] == try_rate.name).any()
    known: Mapping[Any, Mapping[float, Outcome]] = {} if is_new else _outcomes(table)
    return [
        cell
        for search in searches
        for cell in search.cells(known.get(tuple(getattr(search.trial, name) for name in _SETTING), {}))
    ]


def is_over(table: pd.DataFrame, cells: Sequence[Cell]) -> bool:
    """Whether the table has every trial that the searches ask for."""
    return "function" in table and len(trials(table)) == len(cells)


def losses_at_highest(table: pd.DataFrame, window: int) -> pd.DataFrame:
    """The training loss of each setting and seed at its highest stable rate, a mean of every ``window`` steps."""
    best = highest_stable(table).rename(columns={"value": "rate"})
    losses = select(try_rate.rows(table), measure="batch_loss").merge(best)
    means = losses.groupby(_SETTING)["value"].transform(lambda one: one.rolling(window).mean())
    return losses.assign(value=means)[losses["step"] % window == 0]


def _outcomes(table: pd.DataFrame) -> dict[Any, dict[float, Outcome]]:
    """By setting and seed: how the trial at each rate ended."""
    return {
        setting: dict(zip(group["rate"], map(Outcome, group["outcome"]), strict=True))
        for setting, group in trials(table).groupby(_SETTING)
    }
