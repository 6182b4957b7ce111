"""The graph of one run through a model."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

_NORM_FUNCTION = re.compile(r"(batch|layer|group|instance|rms)_norm")


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a layer or a norm, or one operation.

    Attributes:
        label: its name in messages.
        layer: name of the layer or norm; None for an operation.
        inputs: the values it uses.
        outputs: the values it makes.
        passes: whether its output is its input, unchanged.
    """

    label: str
    layer: str | None
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    passes: bool = False


INPUT = Call("the model's input", None, (), ())
OUTPUT = Call("the model's output", None, (), ())


@dataclasses.dataclass(frozen=True)
class Place:
    """An operation and the module whose code calls it.

    Attributes:
        operation: the operation's name, such as ``"batch_norm"``.
        module: name of the innermost module; empty for the model itself.
    """

    operation: str
    module: str

    def __str__(self) -> str:
        return f"{self.operation} in {self.module!r}" if self.module else self.operation


@dataclasses.dataclass(frozen=True)
class Graph:
    """The calls of one run, in order. Values are numbers; a value that is changed in place gets a new number.

    Attributes:
        calls: the calls.
        outputs: the values that the model returns.
        read_outside: names of the layers and norms whose parameters another call reads, and of other modules whose
            matrices are multiplied with data.
        dims: number of dimensions of each value for which it is known.
        functional_norms: the norms that the model computes by a function, outside any norm module.
        looks: the first operation that reads values which depend on the input, so that the model's code may branch on
            them; None if there is none.
        assumed: whether ``dims`` come from a guessed input that another number of dimensions could replace, as for a
            model that starts with a linear layer.
        example: an input that runs through the model: the given or the guessed one; None if no guess runs.
    """

    calls: tuple[Call, ...]
    outputs: tuple[int, ...]
    read_outside: frozenset[str]
    dims: Mapping[int, int] = dataclasses.field(default_factory=dict)
    functional_norms: tuple[Place, ...] = ()
    looks: Place | None = None
    assumed: bool = False
    example: Any = None

    @cached_property
    def _makers(self) -> Mapping[int, Call]:
        return {value: call for call in self.calls for value in call.outputs}

    @cached_property
    def _users(self) -> Mapping[int, list[Call]]:
        users: dict[int, list[Call]] = {}
        for call in self.calls:
            for value in set(call.inputs):
                users.setdefault(value, []).append(call)
        for value in set(self.outputs):
            users.setdefault(value, []).append(OUTPUT)
        return users

    def of(self, layer: str) -> list[Call]:
        """The calls of a layer."""
        return [call for call in self.calls if call.layer == layer]

    def origin(self, value: int, gone: Collection[str] = ()) -> int:
        """The value that was passed on as this one by calls that pass their input on and layers that are ``gone``."""
        while (
            (call := self._makers.get(value))
            and (call.passes or call.layer in gone)
            and len(call.inputs) == 1
        ):
            (value,) = call.inputs
        return value

    def source(self, value: int, gone: Collection[str] = ()) -> Call:
        """The call that made the :meth:`origin` of a value."""
        return self._makers.get(self.origin(value, gone), INPUT)

    def uses(self, value: int, gone: Collection[str] = ()) -> list[Call]:
        """The calls that use a value, looking through calls that pass it on and layers that are ``gone``."""
        found = []
        for call in self._users.get(value, []):
            if call.passes or call.layer in gone:
                found += [use for output in call.outputs for use in self.uses(output, gone)]
            else:
                found.append(call)
        return found


def norm_function(operation: str) -> str | None:
    """The norm that a function of the framework computes, such as ``"batch_norm"``; None for any other function."""
    found = _NORM_FUNCTION.search(operation)
    return found and found.group()


def with_weights_of(label: str, layer: str) -> str:
    """The label of an operation that reads the weights of a layer."""
    return f"{label} with the weights of {layer!r}, which are used without calling it"
