"""One cell for every combination of settings."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from typing import Any

from normscope.papers.shared.profiles import Profile
from normscope.protocol import Cell, CellFunction


def combinations(function: CellFunction[Any], profile: Profile, **over: Iterable[Any]) -> list[Cell]:
    """One cell for every combination of the given values and every seed of the profile; the seed varies fastest.

    Args:
        function: the cell function. Fields of its configuration without a default that the profile has too, such as
            ``data``, ``images`` and ``epochs``, are taken from the profile.
        profile: the settings of one scale.
        over: the values of each varied setting, by the name of its configuration field; the last varies fastest. They
            go before the profile's.
    """
    fields = dataclasses.fields(function.config_type)
    needed = [field.name for field in fields if field.default is dataclasses.MISSING]
    shared = {name: getattr(profile, name) for name in needed if hasattr(profile, name)}
    over = {**over, "seed": range(profile.seeds)}
    return [
        function.cell(function.config_type(**{**shared, **dict(zip(over, values, strict=True))}))
        for values in itertools.product(*over.values())
    ]
