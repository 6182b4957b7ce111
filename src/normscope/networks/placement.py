"""Where a norm stands in a network, in the words that all networks share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, get_args

from torch import nn

from normscope.errors import InputError, UnknownNameError
from normscope.nn import make

Place = Literal["after", "before", "prior", "top"]
PLACES: tuple[Place, ...] = get_args(Place)

NormSpec = str | Callable[[int], nn.Module]
ConvFactory = Callable[..., nn.Module]


def check_place(place: str) -> None:
    """Refuse a place that no network knows."""
    if place not in PLACES:
        raise UnknownNameError("place", place, PLACES)


def chosen_layers(layers: Iterable[int] | None, count: int, place: Place) -> frozenset[int]:
    """Which convolutions, counted from 1 as the papers do, get the norm.

    Args:
        layers: the wanted ones; ``None`` for all of them, except that ``"prior"`` leaves out the first (whose input is
            the image) and ``"top"`` means the last alone.
        count: how many convolutions the network has.
        place: where the norm stands.
    """
    if layers is None:
        first = {"prior": 2, "top": count}.get(place, 1)
        return frozenset(range(first, count + 1))
    chosen = frozenset(layers)
    outside = sorted(number for number in chosen if not 1 <= number <= count)
    if outside:
        raise InputError(f"layers {outside} are not among the network's convolutions 1 to {count}.")
    return chosen


def conv_factory(conv: ConvFactory | Mapping[int, ConvFactory] | None, number: int) -> ConvFactory:
    """What makes convolution ``number``: one factory for all, or one by number with ``nn.Conv2d`` for the rest."""
    if conv is None:
        return nn.Conv2d
    if isinstance(conv, Mapping):
        return conv.get(number, nn.Conv2d)
    return conv


def make_norm(norm: NormSpec, channels: int) -> nn.Module:
    """The norm of a spec or of a callable, for so many channels."""
    if not isinstance(norm, str) and not callable(norm):
        raise InputError(f"a norm is a spec such as 'batch' or 'none', or a callable, not {norm!r}.")
    return make(norm, channels) if isinstance(norm, str) else norm(channels)
