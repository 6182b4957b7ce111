"""The record of what surgery did to a model, kept by the model it returned."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Literal

from torch import nn

Action = Literal["replaced", "inserted", "removed", "folded"]

_ATTRIBUTE = "_normscope_changes"


@dataclasses.dataclass(frozen=True)
class Change:
    """One norm that was replaced, inserted, removed or folded.

    Attributes:
        action: what was done.
        name: the norm's name in the model; an inserted norm's name in the new model.
        norm: class and number of channels of the norm.
        place: how ``other`` is related: ``"after"`` or ``"before"`` the layer of an inserted norm, ``"into"`` the layer
            that a norm was folded into, ``"by"`` the norm that replaced it; empty for a removed norm.
        other: the layer or the new norm; empty for a removed norm.
    """

    action: Action
    name: str
    norm: str
    place: str = ""
    other: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.action, self.name, f"({self.norm})", self.place, self.other)))


def changes(model: nn.Module) -> tuple[Change, ...]:
    """What surgery did to a model, oldest first; empty for a model that did not come from surgery."""
    found: tuple[Change, ...] = model.__dict__.get(_ATTRIBUTE, ())
    return found


def with_changes(model: nn.Module, new: Iterable[Change], before: nn.Module) -> nn.Module:
    """The model itself, with the changes of ``before`` and then the ``new`` ones as its record."""
    model.__dict__[_ATTRIBUTE] = (*changes(before), *new)
    return model


def described(norm: nn.Module, channels: int) -> str:
    """A norm's class and number of channels, such as ``"BatchNorm of 6"``."""
    return f"{type(norm).__name__} of {channels}"
