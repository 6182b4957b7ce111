"""What surgery did to a model, told by the model it returned."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Literal

from torch import nn

Action = Literal["replaced", "inserted", "removed", "folded"]

_ATTRIBUTE = "_normscope_changes"


@dataclasses.dataclass(frozen=True)
class Change:
    """One norm replaced, inserted, removed or folded.

    Attributes:
        action: what was done.
        name: the norm's name in the model (of an inserted norm in the new model).
        norm: the norm that was replaced, inserted, removed or folded, as its class and number of channels.
        place: of an inserted norm, ``"after"`` or ``"before"`` its layer; of a folded one ``"into"``; of a
            replaced one ``"by"``; else empty.
        other: the layer beside an inserted norm, the layer a norm was folded into, or the norm that replaced
            another; else empty.
    """

    action: Action
    name: str
    norm: str
    place: str = ""
    other: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.action, self.name, f"({self.norm})", self.place, self.other)))


def changes(model: nn.Module) -> tuple[Change, ...]:
    """What surgery did to a model, oldest first.

    Args:
        model: a model that came from surgery, or any other, to which nothing was done.
    """
    found: tuple[Change, ...] = model.__dict__.get(_ATTRIBUTE, ())
    return found


def noted(model: nn.Module, new: Iterable[Change], before: nn.Module) -> nn.Module:
    """The model, made to tell what was done to ``before`` and then the ``new`` changes."""
    model.__dict__[_ATTRIBUTE] = (*changes(before), *new)
    return model


def described(norm: nn.Module, channels: int) -> str:
    """A norm in a word or two."""
    return f"{type(norm).__name__} of {channels}"
