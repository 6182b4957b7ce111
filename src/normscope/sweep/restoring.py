"""Checks what a stored table says of its sweep, before a :class:`~normscope.sweep.settings.Sweep` is made of it.

The table may come from anybody: any value may be of any kind, and a few characters may ask for a billion runs. No name
in it is looked up, imported or opened.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from normscope.data.catalogue import CATALOGUE
from normscope.data.facts import CHECKS, Facts
from normscope.disk.values import is_count, is_number, is_text, is_text_list
from normscope.errors import DamagedError, InputError
from normscope.nn import specs
from normscope.sweep.parsing import AS_IS, LR_FOR, PROBES

_MOST_RUNS = 10_000_000
_LONGEST_SPEC = 10_000
_OTHER_VERSION = "another version of normscope wrote it: run its sweep again."


def restored(fields: Any, settings: type) -> dict[str, Any]:
    """The fields of a sweep's settings, from the JSON values that a table has of it.

    Args:
        fields: what the table says.
        settings: the class of the settings.

    Raises:
        InputError: they have other names than the settings of this version, or name a data set that it lacks.
        DamagedError: a value is of another kind than it was written, or the sweep is larger than any can be.
    """
    if not isinstance(fields, dict):
        raise DamagedError("its sweep is not an object")
    _check_names(fields, settings)
    _check_values(fields, _SWEEP_CHECKS, "sweep")
    data = fields.get("own_data")
    if data is None and fields["data"] not in CATALOGUE:
        raise InputError(_OTHER_VERSION)
    sizes = [max(1, len(fields[name])) for name in ("networks", "norms", "places", "rates")]
    if math.prod(sizes) * fields["seeds"] > _MOST_RUNS:
        raise DamagedError("its sweep has more runs than any sweep can have")
    return {**_with_tuples(fields), "own_data": None if data is None else _facts(data)}


def _facts(about: Mapping[str, Any]) -> Facts:
    known = {field.name for field in dataclasses.fields(Facts)}
    fields = {name: value for name, value in about.items() if name in known}
    _check_names(fields, Facts)
    _check_values(fields, CHECKS, "sweep's data")
    return Facts(**_with_tuples(fields))


def _check_names(fields: Mapping[str, Any], settings: type) -> None:
    declared = dataclasses.fields(settings)
    needed = {one.name for one in declared if one.default is dataclasses.MISSING}
    if not needed <= fields.keys() <= {one.name for one in declared}:
        raise InputError(_OTHER_VERSION)


def _check_values(fields: Mapping[str, Any], checks: Mapping[str, Callable[[Any], bool]], whose: str) -> None:
    for name, value in fields.items():
        if not checks[name](value):
            raise DamagedError(f"the entry {name!r} of its {whose} is of another kind than it was written")


def _with_tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def _is_spec(value: Any) -> bool:
    """Whether it is a text that can be read as a spec; whether its name exists is not asked."""
    if not is_text(value) or len(value) > _LONGEST_SPEC:
        return False
    try:
        return value == AS_IS or bool(specs.read(value).name)
    except (InputError, RecursionError, MemoryError):
        return False


def _are_specs(value: Any) -> bool:
    return is_text_list(value) and all(map(_is_spec, value))


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _is_rate(value: Any) -> bool:
    return is_number(value) and value > 0


_SWEEP_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "networks": lambda value: _are_specs(value) and len(value) > 0,
    "norms": _are_specs,
    "places": lambda value: is_text_list(value) and len(value) > 0,
    "rates": lambda value: isinstance(value, (list, tuple)) and len(value) > 0 and all(map(_is_rate, value)),
    "seeds": is_count,
    "data": is_text,
    "epochs": is_count,
    "probes": lambda value: is_text_list(value) and set(value) <= set(PROBES),
    "batch": is_count,
    "images": _or_none(is_count),
    "optimizer": is_text,
    "lr_for": lambda value: is_text(value) and value in LR_FOR,
    "other_lr": _is_rate,
    "image_size": _or_none(is_count),
    "layer": _or_none(is_text),
    "loss": _is_spec,
    "own_data": _or_none(lambda value: isinstance(value, dict)),
    "chance": _or_none(lambda value: isinstance(value, float) or is_number(value)),
}
