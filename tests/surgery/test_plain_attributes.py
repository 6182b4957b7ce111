"""Norms that the model calls from plain attributes are found and exchanged wherever they are."""

import collections
import dataclasses
import functools
import types

import pytest
import torch
from torch import nn

import normscope as ns
from normscope.surgery import changes

Pair = collections.namedtuple("Pair", ["first", "second"])


@dataclasses.dataclass(frozen=True)
class Settings:
    norm: nn.Module


class Helper:
    def __init__(self, norm):
        self.norm = norm


def _apply(norm, x):
    return norm(x)


CALLS = {
    "named tuple": lambda norm: Pair(norm, None),
    "deque": lambda norm: collections.deque([norm]),
    "user dict": lambda norm: collections.UserDict(norm=norm),
    "frozen set": lambda norm: frozenset([norm]),
    "dataclass": Settings,
    "namespace": lambda norm: types.SimpleNamespace(norm=norm),
    "object": Helper,
    "partial": lambda norm: functools.partial(_apply, norm),
    "partial by name": lambda norm: functools.partial(_apply, norm=norm),
    "bound method": lambda norm: norm.__call__,
    "nested": lambda norm: [Helper((Pair(None, {"norm": norm}),))],
}
READ = {
    "named tuple": lambda held: held.first,
    "deque": lambda held: held[0],
    "user dict": lambda held: held["norm"],
    "frozen set": lambda held: next(iter(held)),
    "dataclass": lambda held: held.norm,
    "namespace": lambda held: held.norm,
    "object": lambda held: held.norm,
    "partial": lambda held: lambda x: held(x),
    "partial by name": lambda held: lambda x: held(x=x),
    "bound method": lambda held: held,
    "nested": lambda held: held[0].norm[0].second["norm"],
}


class Holding(nn.Module):
    def __init__(self, norm, kind, registered):
        super().__init__()
        self.kind = kind
        self.held = CALLS[kind](norm)
        if registered:
            self.norm = norm

    def forward(self, x):
        return READ[self.kind](self.held)(x)


@pytest.mark.parametrize("registered", [True, False])
@pytest.mark.parametrize("kind", CALLS)
def test_a_norm_is_removed_from_where_it_is_called(kind, registered):
    x = torch.randn(4, 3, 5)
    model = Holding(nn.BatchNorm1d(3), kind, registered)
    wanted = model(x)
    bare = ns.remove_norms(model)
    torch.testing.assert_close(bare(x), x, rtol=0, atol=0)
    torch.testing.assert_close(model(x), wanted)
    assert [change.action for change in changes(bare)] == ["removed"]


def test_containers_that_hold_themselves_are_looked_at_once():
    model = nn.Sequential(nn.BatchNorm1d(3))
    model.loop = [1, model[0]]
    model.loop.append(model.loop)
    model.mapping = {"list": model.loop}
    model.mapping["mapping"] = model.mapping
    new = ns.remove_norms(model)
    assert new.loop[1] is new[0]
    assert new.loop[2] is new.loop


def test_a_long_chain_of_objects_is_followed_to_some_depth():
    model = nn.Sequential(nn.BatchNorm1d(3))
    model.chain = link = Helper(None)
    for _ in range(200):
        link.norm = Helper(None)
        link = link.norm
    assert isinstance(ns.remove_norms(model)[0], nn.Identity)


class Child(nn.Module):
    def __init__(self, parent):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.report = parent.report

    def forward(self, x):
        return self.norm(x)


class Parent(nn.Module):
    def __init__(self):
        super().__init__()
        self.other = nn.BatchNorm1d(3)
        self.child = Child(self)

    def report(self):
        pass


def test_a_bound_method_of_a_parent_does_not_make_the_parent_a_part():
    assert [change.name for change in changes(ns.remove_norms(Parent().child))] == ["norm"]
