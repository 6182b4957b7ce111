"""Where a norm goes in a network, in the words that all networks share."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, get_args

from torch import nn

from normscope.errors import InputError, UnknownNameError

Place = Literal["after", "before", "prior", "top"]
PLACES: tuple[Place, ...] = get_args(Place)

ConvFactory = Callable[..., nn.Module]


def check_place(place: str) -> None:
    """Refuse a place that no network knows."""
    if place not in PLACES:
        raise UnknownNameError("place", str(place), PLACES)


def check_sizes(**sizes: int) -> None:
    """Refuse a size, by its argument's name, that is no whole number of at least 1."""
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise InputError(f"{name} must be a whole number of at least 1, not {size!r}.")


def chosen_layers(layers: Iterable[int] | None, count: int, place: Place) -> frozenset[int]:
    """The convolutions that get the norm, counted from 1 as in the papers.

    Args:
        layers: their numbers; by default all of them, except that ``"prior"`` leaves out the first (whose input is the
            image) and ``"top"`` means only the last.
        count: number of convolutions in the network.
        place: where the norm goes.

    Raises:
        InputError: for a number that no convolution has, or what is no number.
    """
    if layers is None:
        first = {"prior": 2, "top": count}.get(place, 1)
        return frozenset(range(first, count + 1))
    try:
        chosen = frozenset(operator.index(number) for number in layers)
    except TypeError:
        raise InputError(f"layers must be numbers of layers from 1 to {count}, not {layers!r}.") from None
    outside = sorted(number for number in chosen if not 1 <= number <= count)
    if outside:
        raise InputError(f"layers {outside} are not among the network's convolutions 1 to {count}.")
    return chosen


def conv_factory(conv: ConvFactory | Mapping[int, ConvFactory] | None, number: int) -> ConvFactory:
    """The factory of convolution ``number``: ``conv`` itself, or its entry in a mapping; by default ``nn.Conv2d``."""
    if conv is None:
        return nn.Conv2d
    if isinstance(conv, Mapping):
        return conv.get(number, nn.Conv2d)
    return conv
