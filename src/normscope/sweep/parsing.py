"""How a sweep's words are read: names, lists, numbers and ranges of rates, each refused with a sentence."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from typing import Any, SupportsIndex

from normscope.errors import InputError, UnknownNameError
from normscope.nn import specs
from normscope.nn.specs import Spec

AS_IS = "as-is"
"""In the place of a norm: the network as its factory makes it."""

NETWORKS: Mapping[str, tuple[str, ...]] = {"lenet": ("layers",), "resnet": ("depth", "layers")}
"""The built-in networks, and what a spec may say of each; the rest comes from the sweep and the data."""

OPTIMIZERS: Mapping[str, tuple[str, ...]] = {
    "sgd": ("momentum", "dampening", "weight_decay", "nesterov"),
    "adam": ("betas", "eps", "weight_decay", "amsgrad"),
    "adamw": ("betas", "eps", "weight_decay", "amsgrad"),
}
"""The optimisers, and what a spec may say of each; the arguments are torch's."""

PROBES = ("spectrum", "moments")
LR_FOR = ("all", "convolutions")

_MOST_RATES = 10_000
_DIGITS = 12


def read_rates(words: str | float | Iterable[float | str]) -> tuple[float, ...]:
    """Learning rates: numbers, and ``low:high:count`` for so many from low to high in equal ratios.

    Each is rounded to 12 digits, and ``low`` and ``high`` stand as they are given, so that 0.01:10:7 ends in 10.

    Raises:
        InputError: for what cannot be read, is not a positive number, or runs backwards.
    """
    items = list(words) if isinstance(words, Iterable) and not isinstance(words, str) else [words]
    rates: list[float] = []
    for item in items:
        for word in listed(item, "lr") if isinstance(item, str) else [item]:
            rates += _spaced(word) if isinstance(word, str) and ":" in word else [read_rate(word, "lr")]
    if not rates:
        raise InputError("lr names no learning rate: give one or more.")
    return each_once(rates)


def network_spec(text: str) -> Spec:
    """The spec of a network, read but not looked up."""
    return specs.read(text, "network")


def split_list(text: str) -> list[str]:
    """The parts of a list, split at the commas that stand outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not quote and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _spaced(word: str) -> list[float]:
    ends = word.split(":")
    if len(ends) != 3 or not ends[2].strip().isascii() or not ends[2].strip().isdigit():
        raise InputError(f"lr {word!r} cannot be read: write low:high:count, such as 0.01:10:7.")
    low, high, count = read_rate(ends[0], "lr"), read_rate(ends[1], "lr"), int(ends[2])
    if count < 2 or not low < high:
        raise InputError(
            f"lr {word!r} is no range: low:high:count needs low < high and a count of 2 or more."
        )
    if count > _MOST_RATES:
        raise InputError(f"lr {word!r} asks for {count:,} rates: {_MOST_RATES:,} at most.")
    step = math.log(high / low) / (count - 1)
    between = [float(f"{low * math.exp(index * step):.{_DIGITS}g}") for index in range(1, count - 1)]
    return [low, *between, high]


def read_rate(word: object, name: str) -> float:
    """A learning rate: a positive, finite number."""
    try:
        rate = math.nan if isinstance(word, bool) else float(word)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(
            f"{name} {word!r} cannot be read: write a number, or low:high:count such as 0.01:10:7."
        ) from None
    if not (rate > 0 and math.isfinite(rate)):
        raise InputError(f"{name} {word!r} is no learning rate: it must be a positive, finite number.")
    return rate


def whole(value: object, name: str) -> int:
    """A whole number of at least 1."""
    if (
        isinstance(value, bool)
        or not isinstance(value, SupportsIndex)
        or (number := operator.index(value)) < 1
    ):
        raise InputError(f"{name} must be a whole number of at least 1, not {value!r}.")
    return number


def text_of(value: object, name: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{name} must be a text such as the command line takes, not {value!r}.")
    return value.strip()


def listed(words: object, name: str, least: int = 1) -> list[str]:
    """The texts of a comma-separated list, or of several."""
    items = list(words) if isinstance(words, Iterable) and not isinstance(words, str) else [words]
    parts = [part for item in items for part in split_list(text_of(item, name))]
    if len(parts) < least or not all(parts):
        raise InputError(f"{name} {words!r} has an empty entry: name one or more, with commas between.")
    return parts


def each_once(items: Iterable[Any]) -> tuple[Any, ...]:
    """Every item once, in order."""
    return tuple(dict.fromkeys(items))


def known_name(name: str, known: Iterable[str], kind: str) -> str:
    """The name, when it is one of those known."""
    if name not in known:
        raise UnknownNameError(kind, name, known)
    return name


def check_known(spec: Spec, known: Mapping[str, tuple[str, ...]], kind: str, also: str = "") -> None:
    """Refuse a spec of another name or with other arguments than those known."""
    if spec.name not in known:
        raise UnknownNameError(kind, spec.name, [*known, *filter(None, [also])])
    specs.check_arguments(spec.name, spec.arguments, known[spec.name], kind)


def read_network(text: str) -> str:
    """A network's spec in canonical form; a built-in one is looked up."""
    spec = network_spec(text)
    if not spec.is_path:
        check_known(spec, NETWORKS, "network", also="my.module:factory")
    return str(spec)


def read_norm(text: str) -> str:
    """A norm's spec in canonical form, or ``as-is``."""
    return AS_IS if text == AS_IS else str(specs.parse(text))
