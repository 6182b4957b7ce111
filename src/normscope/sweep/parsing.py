"""Read a sweep's arguments: lists, numbers, ranges of rates, and specs; refuse each mistake in one sentence."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from typing import Any, SupportsIndex

from normscope.data.facts import Facts
from normscope.errors import InputError, UnknownNameError
from normscope.nn import specs
from normscope.nn.specs import Spec
from normscope.targets import dotted

AS_IS = "as-is"
"""Given instead of a norm: the network as its factory makes it."""

NETWORKS: Mapping[str, tuple[str, ...]] = {"lenet": ("layers",), "resnet": ("depth", "layers")}
"""The built-in networks and the arguments their specs take; the sweep and the data determine the other arguments."""

OPTIMIZERS: Mapping[str, tuple[str, ...]] = {
    "sgd": ("momentum", "dampening", "weight_decay", "nesterov"),
    "adam": ("betas", "eps", "weight_decay", "amsgrad"),
    "adamw": ("betas", "eps", "weight_decay", "amsgrad"),
}
"""The optimisers and the arguments their specs take, named as in torch."""

LOSSES: Mapping[str, tuple[str, ...]] = {
    "cross_entropy": ("label_smoothing",),
    "multi_margin": ("p", "margin"),
    "mse": (),
    "l1": (),
    "smooth_l1": ("beta",),
    "huber": ("delta",),
    "bce_with_logits": (),
}
"""The losses of ``torch.nn.functional`` and the arguments their specs take, named as in torch."""

CLASS_LOSSES = ("cross_entropy", "multi_margin")
"""The losses that take the numbers of classes; the others take numbers of the output's shape."""

PROBES = ("spectrum", "moments")
LR_FOR = ("all", "convolutions")

_MOST_RATES = 10_000
_DIGITS = 12


def read_rates(given: str | float | Iterable[float | str]) -> tuple[float, ...]:
    """Learning rates, each once, from numbers and ranges ``low:high:count``.

    A range is ``count`` rates in equal ratios. Its ends are exact and the rates between are rounded to 12 digits, so
    that ``0.01:10:7`` contains 0.1 and 1.

    Raises:
        InputError: a rate that cannot be read or is not positive and finite, or a range that does not rise.
    """
    items = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    rates: list[float] = []
    for item in items:
        for part in read_list(item, "lr") if isinstance(item, str) else [item]:
            rates += _read_range(part) if isinstance(part, str) and ":" in part else [read_rate(part, "lr")]
    if not rates:
        raise InputError("lr names no learning rate: give one or more.")
    return unique(rates)


def _read_range(text: str) -> list[float]:
    ends = text.split(":")
    if len(ends) != 3 or not ends[2].strip().isascii() or not ends[2].strip().isdigit():
        raise InputError(f"lr {text!r} cannot be read: write low:high:count, such as 0.01:10:7.")
    low, high, count = read_rate(ends[0], "lr"), read_rate(ends[1], "lr"), int(ends[2])
    if count < 2 or not low < high:
        raise InputError(
            f"lr {text!r} is not a range: low:high:count needs low < high and a count of 2 or more."
        )
    if count > _MOST_RATES:
        raise InputError(f"lr {text!r} asks for {count:,} rates: {_MOST_RATES:,} at most.")
    step = math.log(high / low) / (count - 1)
    between = [float(f"{low * math.exp(index * step):.{_DIGITS}g}") for index in range(1, count - 1)]
    return [low, *between, high]


def read_rate(given: object, name: str) -> float:
    """One learning rate, from a number or its text.

    Args:
        given: what the user gave.
        name: the argument's name, for the message.

    Raises:
        InputError: it cannot be read or is not positive and finite.
    """
    try:
        rate = math.nan if isinstance(given, bool) else float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(
            f"{name} {given!r} cannot be read: write a number, or low:high:count such as 0.01:10:7."
        ) from None
    if not (rate > 0 and math.isfinite(rate)):
        raise InputError(f"{name} {given!r} is not a learning rate: it must be a positive, finite number.")
    return rate


def read_count(given: object, name: str) -> int:
    """A whole number of at least 1; anything else is refused under the argument's ``name``."""
    if (
        isinstance(given, bool)
        or not isinstance(given, SupportsIndex)
        or (count := operator.index(given)) < 1
    ):
        raise InputError(f"{name} must be a whole number of at least 1, not {given!r}.")
    return count


def read_text(given: object, name: str) -> str:
    """A text without the blanks around it; an empty one is refused under the argument's ``name``."""
    if not isinstance(given, str) or not given.strip():
        raise InputError(f"{name} must be a text such as the command line takes, not {given!r}.")
    return given.strip()


def read_data(given: object) -> str:
    """The name of a data set; data themselves are refused, since runs are kept by name."""
    if not isinstance(given, str) or not given.strip():
        raise InputError(
            "data must be a text, such as 'mnist5k', 'my.module:loader' or 'images:FOLDER', not "
            f"{'an empty one' if isinstance(given, str) else f'a {type(given).__name__}'}: "
            "to use data that are in memory, write a function that returns them and name it."
        )
    return given.strip()


def read_list(given: object, name: str, least: int = 1) -> list[str]:
    """The entries of a comma-separated text, or of several such texts.

    Args:
        given: what the user gave.
        name: the argument's name, for the message.
        least: the smallest number of entries allowed.

    Raises:
        InputError: there are fewer entries, an entry is empty, or one is not a text.
    """
    items = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    parts = [part for item in items for part in split_list(read_text(item, name))]
    if len(parts) < least or not all(parts):
        raise InputError(f"{name} {given!r} has an empty entry: name one or more, with commas between.")
    return parts


def split_list(text: str) -> list[str]:
    """The parts of a text between its commas, except commas inside brackets or quotes."""
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


def unique(items: Iterable[Any]) -> tuple[Any, ...]:
    """The items without repetitions, in order of first appearance."""
    return tuple(dict.fromkeys(items))


def read_name(given: str, known: Iterable[str], kind: str) -> str:
    """The given name; one that is not in ``known`` is refused as an unknown ``kind``."""
    if given not in known:
        raise UnknownNameError(kind, given, known)
    return given


def network_spec(text: str) -> Spec:
    """A network's spec, read but not looked up."""
    return specs.read(text, "network")


def read_network(text: str) -> str:
    """A network's spec in canonical form; a built-in network and its arguments are checked."""
    spec = network_spec(dotted(text, "network"))
    if not spec.is_path:
        _check_spec(spec, NETWORKS, "network", also=("my.module:factory",))
    return str(spec)


def read_optimizer(text: str) -> str:
    """An optimiser's spec in canonical form, its name and arguments checked."""
    spec = specs.read(text, "optimizer")
    _check_spec(spec, OPTIMIZERS, "optimizer")
    return str(spec)


def read_norm(text: str) -> str:
    """A norm's spec in canonical form, checked by :func:`normscope.nn.specs.parse`, or ``as-is``."""
    return AS_IS if text == AS_IS else str(specs.parse(dotted(text, "norm")))


def loss_spec(text: str) -> Spec:
    """A loss's spec, read but not looked up."""
    return specs.read(text, "loss")


def read_loss(text: str) -> str:
    """A loss's spec in canonical form; one of torch's and its arguments are checked."""
    spec = loss_spec(dotted(text, "loss"))
    if not spec.is_path:
        _check_spec(spec, LOSSES, "loss", also=("my.module:function",))
    return str(spec)


def classifies(loss: str, facts: Facts) -> bool:
    """Whether a network with this loss puts examples into classes, rather than giving numbers like the targets."""
    spec = loss_spec(loss)
    return facts.classes is not None and (spec.is_path or spec.name in CLASS_LOSSES)


def _check_spec(
    spec: Spec, known: Mapping[str, tuple[str, ...]], kind: str, also: tuple[str, ...] = ()
) -> None:
    if spec.name not in known:
        raise UnknownNameError(kind, spec.name, [*known, *also])
    specs.check_arguments(spec.name, spec.arguments, known[spec.name], kind)
