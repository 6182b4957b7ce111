"""The record of what surgery did to a model, kept by the model it returned."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Sequence
from typing import Literal

from torch import nn

from normscope.errors import NormscopeWarning
from normscope.nn.module_kinds import is_compiled, plain_name, uncompiled, unwrapped

Action = Literal["replaced", "inserted", "removed", "folded", "standardized", "skipped"]

_ATTRIBUTE = "_normscope_changes"
_NAMED = 3


@dataclasses.dataclass(frozen=True)
class Change:
    """One norm that was replaced, inserted, removed or folded, or one module that was left as it was.

    Attributes:
        action: what was done.
        name: the norm's name in the model; an inserted norm's name in the new model.
        norm: class and number of channels of the norm.
        place: how ``other`` is related: ``"after"`` or ``"before"`` the layer of an inserted norm, ``"into"`` the layer
            that a norm was folded into, ``"by"`` the norm that replaced it; empty for a removed norm.
        other: the layer or the new norm; empty for a removed norm.
        reason: why a module was skipped, or how a new norm differs from what the old one's settings say; else empty.
    """

    action: Action
    name: str
    norm: str
    place: str = ""
    other: str = ""
    reason: str = ""

    def __str__(self) -> str:
        text = " ".join(filter(None, (self.action, self.name, f"({self.norm})", self.place, self.other)))
        return f"{text}: {self.reason}" if self.reason else text


def changes(model: nn.Module) -> tuple[Change, ...]:
    """What surgery did to a model, oldest first; empty for a model that did not come from surgery.

    The last operation's ``"skipped"`` entries name what it left as it was, each with its reason.
    """
    found: tuple[Change, ...] = uncompiled(model).__dict__.get(_ATTRIBUTE, ())
    return found


def with_changes(
    model: nn.Module, new: Iterable[Change], before: nn.Module, left: Iterable[Change] = ()
) -> nn.Module:
    """The model itself, with the changes of ``before``, the ``new`` ones and what was ``left`` as its record."""
    compiled = [
        Change("skipped", plain_name(name), type(unwrapped(one)).__name__, reason="it is no longer compiled")
        for name, one in before.named_modules()
        if is_compiled(one) or getattr(one, "_compiled_call_impl", None) is not None
    ]
    made = [change for change in changes(before) if change.action != "skipped"]
    model.__dict__[_ATTRIBUTE] = (*made, *new, *left, *compiled)
    return model


def described(norm: nn.Module, channels: int) -> str:
    """A norm's class and number of channels, such as ``"BatchNorm of 6"``."""
    return f"{type(norm).__name__} of {channels}"


def warn_of(operation: str, model: nn.Module, done: object, left: Sequence[Change], nothing: str) -> None:
    """Warn, in one sentence, of an operation that did nothing, and of what it left as it was.

    Args:
        operation: its name, as the user calls it.
        model: the model it was called with.
        done: what it did; empty, or zero, for nothing.
        left: what it skipped.
        nothing: what it would need and did not find, such as ``"no norm"``.
    """
    named = ", ".join(f"{one.name!r} ({one.norm}: {one.reason})" for one in left[:_NAMED])
    named += f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    kind = type(unwrapped(model)).__name__
    if not done:
        text = f"{operation} found {nothing} in {kind}, so nothing was done"
        text += f"; it left as it is {named}." if left else "."
    elif left:
        text = f"{operation} left as it is {named}."
    else:
        return
    warnings.warn(text, NormscopeWarning, stacklevel=3)
