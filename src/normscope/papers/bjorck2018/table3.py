"""Table 3 and App. J: the highest stable learning rate of shallower networks, a warm start and alternating moments."""

import itertools

import pandas as pd

from normscope.papers.bjorck2018.profiles.initial import DEPTH
from normscope.papers.bjorck2018.profiles.training import TABLE3, RateProfile
from normscope.papers.bjorck2018.rate_drawing import draw_outcomes
from normscope.papers.bjorck2018.readings.rates import Search, search_cells, trials
from normscope.papers.bjorck2018.readings.settings import (
    ALTERNATE,
    ALTERNATING,
    NORMED,
    WARM,
    end_of_search,
    label,
    labelled,
    rates_of,
)
from normscope.papers.shared import Findings, contrasts
from normscope.protocol import Cell, Claims, GrowingExperiment, Judgement
from normscope.report import plots

claim = Claims("Bjorck et al. 2018, App. J, Table 3")
_SURVIVES, _DOES_NOT = 3.0, 10.0
_EPOCH = 50_000 // 128
"""Steps of a warm start: one epoch of the paper's data."""


@claim(
    "depth",
    "Without norms, shallower networks bear higher learning rates.",
    "highest stable rate of unnormalized networks by depth: 56 < 32 < 20",
)
def depth(table: pd.DataFrame) -> Judgement:
    return _falls(table, 20, 32, 56)


@claim(
    "deepest",
    "Without norms, the network of 110 layers bears a lower learning rate than that of 56.",
    "highest stable rate of unnormalized networks by depth: 110 < 56",
)
def deepest(table: pd.DataFrame) -> Judgement:
    return _falls(table, 56, 110)


def _falls(table: pd.DataFrame, *depths: int) -> Judgement:
    names = [label("none", one, 0) for one in depths]
    rates = rates_of(table, *names)
    found = Findings(rates.named())
    found.remark(end_of_search(table, names))
    for shallow, deep in itertools.pairwise(names):
        if not rates.median(shallow):
            raise found.not_judged(f"no rate that was tried is stable for {shallow}")
        found.compare(*rates.order((deep, shallow)))
    return found.judgement()


@claim(
    "warm-start",
    "A warm start of one epoch at a rate of 0.0001 makes higher rates possible for the unnormalized network.",
    "highest stable rate at depth 110: unnormalized < with a warm start < BN",
)
def warm_start(table: pd.DataFrame) -> Judgement:
    return _between(table, f"{WARM}, {DEPTH}")


@claim(
    "alternating",
    "With moments of every second batch only, the network bears rates between those without norms and with BN.",
    "highest stable rate at depth 110: unnormalized < alternating < BN",
)
def alternating(table: pd.DataFrame) -> Judgement:
    return _between(table, f"{ALTERNATE}, {DEPTH}")


def _between(table: pd.DataFrame, middle: str) -> Judgement:
    low, high = label("none", DEPTH, 0), f"{NORMED}, {DEPTH}"
    rates = rates_of(table, low, middle, high)
    found = Findings(rates.named())
    found.compare(*rates.order((low, middle), (middle, high)))
    return found.judgement()


@claim(
    "bn-limit",
    "With BN, the network does not diverge at a rate of 3, and does at 10.",
    "highest stable rate of BN at depth 110: at least 3 and below 10",
)
def bn_limit(table: pd.DataFrame) -> Judgement:
    name = f"{NORMED}, {DEPTH}"
    rates = rates_of(table, name)
    found = Findings()
    found.compare(
        contrasts.level(f"highest stable rate {name}", rates[name], least=_SURVIVES, most=_DOES_NOT - 1)
    )
    found.remark("of the rates tried, 3 is the highest below 10")
    return found.judgement()


def more_cells(profile: RateProfile, table: pd.DataFrame) -> list[Cell]:
    """The searches: unnormalized networks of every depth, and the other settings at the largest."""
    seeds, deepest = range(profile.seeds), max(profile.depths)
    searches = [Search.of(profile, "none", depth, seed) for depth in profile.depths for seed in seeds]
    if profile.others:
        searches += [
            Search.of(profile, norm, deepest, seed) for norm in (ALTERNATING, "batch") for seed in seeds
        ]
        searches += [Search.of(profile, "none", deepest, seed, _EPOCH) for seed in seeds]
    return search_cells(table, searches)


def draw(table: pd.DataFrame) -> plots.Figure:
    """How the trial at each rate ended, a row a setting."""
    ended = labelled(trials(table))
    order = [
        *dict.fromkeys(
            ended.sort_values(["norm", "depth", "warm_steps"], ascending=[False, True, True])["setting"]
        )
    ]
    return draw_outcomes(ended, "setting", {one: one for one in order})


EXPERIMENT = GrowingExperiment(
    id="bjorck2018.table3",
    question="Which learning rate does a network bear, by its depth, after a warm start, and with alternating moments?",
    method=(
        "Every network is trained at constant rates, from the highest of a grid down, until it survives one: no batch "
        "loss exceeds the limit, and it ends better than chance."
    ),
    caption=(
        "How the trials at each learning rate ended, over seeds; the highest rate that survived is filled. The search "
        "of a seed ends at its first survivor."
    ),
    profiles=TABLE3,
    list_cells=lambda profile: [],
    rules=claim.rules,
    draw=draw,
    more_cells=more_cells,
)
