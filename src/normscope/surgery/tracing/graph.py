"""The graph of one run through a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from functools import cached_property


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
class Graph:
    """The calls of one run, in order. Values are numbers; a value that is changed in place gets a new number.

    Attributes:
        calls: the calls.
        outputs: the values that the model returns.
        read_outside: names of the layers whose parameters another call reads.
        dims: number of dimensions of each value for which it is known.
    """

    calls: tuple[Call, ...]
    outputs: tuple[int, ...]
    read_outside: frozenset[str]
    dims: Mapping[int, int] = dataclasses.field(default_factory=dict)

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

    def source(self, value: int, gone: Collection[str] = ()) -> Call:
        """The call that made a value, looking through calls that pass their input on and layers that are ``gone``."""
        call = self._makers.get(value, INPUT)
        while call.passes or call.layer in gone:
            if len(call.inputs) != 1:
                return call
            call = self._makers.get(call.inputs[0], INPUT)
        return call

    def uses(self, value: int, gone: Collection[str] = ()) -> list[Call]:
        """The calls that use a value, looking through calls that pass it on and layers that are ``gone``."""
        found = []
        for call in self._users.get(value, []):
            if call.passes or call.layer in gone:
                found += [use for output in call.outputs for use in self.uses(output, gone)]
            else:
                found.append(call)
        return found
