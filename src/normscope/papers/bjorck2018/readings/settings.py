"""The settings of Tables 2 and 3 by name, and their highest stable rates."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from normscope.papers.bjorck2018.parts import PARTS
from normscope.papers.bjorck2018.profiles.initial import DEPTH
from normscope.papers.bjorck2018.readings.rates import highest_stable, trials
from normscope.papers.shared import Samples
from normscope.protocol import NotJudgedError

ALTERNATING = "alternating"
WARM, ALTERNATE, NORMED = "unnormalized, warm start", "alternating normalization", "BN"


def label(norm: str, depth: int, warm_steps: int) -> str:
    """The name of a setting."""
    if norm == "none":
        return f"{WARM}, {depth}" if warm_steps else f"unnormalized, {depth}"
    return f"{ALTERNATE if norm == ALTERNATING else NORMED}, {depth}"


def labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a column ``setting``, its name."""
    settings = zip(rows["norm"], rows["depth"], rows["warm_steps"], strict=True)
    return rows.assign(setting=[label(norm, int(depth), int(warm)) for norm, depth, warm in settings])


def rates_of(table: pd.DataFrame, *settings: str) -> Samples:
    """The highest stable rates of settings.

    Raises:
        NotJudgedError: naming the settings that have not been tried.
    """
    rates = labelled(highest_stable(table))
    if missing := [one for one in settings if one not in set(rates["setting"])]:
        raise NotJudgedError(f"not tried at this scale: {' and '.join(missing)}")
    return Samples.of("highest stable rate", rates, {one: one for one in settings}, "setting")


def end_of_search(table: pd.DataFrame, settings: Iterable[str]) -> str:
    """What 0 means: at which rate the search of those of the settings ended that have a seed without a survivor."""
    rates = labelled(highest_stable(table))
    none = set(rates.loc[rates["value"] == 0, "setting"])
    ended = labelled(trials(table)).groupby("setting")["rate"].min()
    return "; ".join(
        f"0 stands for below {ended[one]:g}, the lowest rate tried, of {one}"
        for one in settings
        if one in none
    )


def rates_of_parts(table: pd.DataFrame) -> Samples:
    """The highest stable rates of the parts of BN that were tried."""
    rates = highest_stable(table)
    tried = set(rates["norm"])
    return Samples.of(
        "highest stable rate", rates, {norm: name for norm, name in PARTS.items() if norm in tried}
    )


def refuse_shallow(table: pd.DataFrame) -> None:
    """Refuse to judge what the paper says of its own depth only.

    Raises:
        NotJudgedError: when the networks that were tried have another.
    """
    if (found := int(trials(table)["depth"].max())) != DEPTH:
        raise NotJudgedError(f"not judged at this scale: the network has {found} layers, the paper's {DEPTH}")
