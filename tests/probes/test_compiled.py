"""Compiled models are measured as they are written, without compiling anything for it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from pandas.testing import assert_frame_equal
from torch import nn

import normscope as ns
from normscope.errors import NormscopeWarning


def batch(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Compiler:
    """A backend that counts the graphs that it is given, and runs each as it is."""

    def __init__(self):
        self.graphs = 0

    def __call__(self, graph, example):
        self.graphs += 1
        return graph.forward


class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 2, 3)

    def forward(self, x):
        return self.conv(torch.relu(x))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.part = nn.Conv2d(3, 4, 3), Part()

    def forward(self, x):
        return self.part(self.first(x))


@pytest.fixture(autouse=True)
def _fresh():
    torch.compiler.reset()
    torch.manual_seed(0)


def whole(model, backend):
    return torch.compile(model, backend=backend, fullgraph=True)


def in_place(model, backend):
    model.compile(backend=backend)
    return model


def part(model, backend):
    model.part = torch.compile(model.part, backend=backend)
    return model


def part_in_place(model, backend):
    model.part.compile(backend=backend)
    return model


def function(model, backend):
    compiled = torch.compile(model.forward, backend=backend)
    model.forward = lambda x: compiled(x)
    return model


WAYS = [whole, in_place, part, part_in_place, function]


@pytest.mark.parametrize("ran", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_a_compiled_model_is_measured_as_the_plain_one_and_compiles_nothing(way, ran):
    model, x, compiler = Block(), batch(5, 3, 8, 8), Compiler()
    wanted = [read(model, x) for read in (ns.probes.spectrum, ns.probes.moments)]
    compiled = way(model, compiler)
    if ran:
        compiled(x)
    graphs = compiler.graphs
    assert graphs > 0 or not ran
    found = [read(compiled, x) for read in (ns.probes.spectrum, ns.probes.moments)]
    for one, other in zip(found, wanted, strict=True):
        assert_frame_equal(one, other)
    assert compiler.graphs == graphs
    compiled(x)
    assert compiler.graphs == (graphs or 1)


def test_the_names_are_those_of_the_plain_model_and_both_may_be_given():
    compiled, x = whole(Block(), "eager"), batch(5, 3, 8, 8)
    assert list(ns.probes.spectrum(compiled, x).layer) == ["first", "part.conv"]
    assert list(ns.probes.spectrum(compiled, x, layers="first").layer) == ["first"]
    assert len(ns.probes.spectrum(compiled, x, layers="_orig_mod.first")) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_sampler_measures_its_steps_eagerly_and_leaves_the_others_compiled(way):
    model, compiler = Block(), Compiler()
    batches = [batch(5, 3, 8, 8, seed=seed) for seed in range(5)]
    wanted = [ns.probes.spectrum(model, batches[step]) for step in (0, 2, 4)]
    compiled = way(model, compiler)
    compiled(batches[0])
    assert compiler.graphs == 1
    with ns.probes.SpectrumSampler(compiled, every=2) as sampler:
        outputs = [compiled(x) for x in batches]
    for step, table in zip((0, 2, 4), wanted, strict=True):
        rows = sampler.table()
        rows = rows[rows.step == step].drop(columns="step").reset_index(drop=True)
        assert_frame_equal(rows, table, rtol=1e-9)
    for x, output in zip(batches, outputs, strict=True):
        torch.testing.assert_close(compiled(x), output)
    assert compiler.graphs == 1


def test_what_is_compiled_is_run_between_the_measured_steps():
    """A backend that returns another function shows which steps ran compiled."""
    compiled = torch.compile(
        nn.Linear(3, 2), backend=lambda graph, example: lambda *args: (torch.zeros(4, 2),)
    )
    x = batch(4, 3)
    with ns.probes.SpectrumSampler(compiled, every=3):
        ran = [bool((compiled(x) == 0).all()) for _ in range(6)]
    assert ran == [False, True, True, False, True, True]


def test_a_sampler_that_saw_no_call_says_so():
    model, x = Block(), batch(5, 3, 8, 8)
    step = torch.compile(lambda x: model(x).sum(), backend="eager")
    step(x)
    sampler = ns.probes.SpectrumSampler(model, every=1)
    with pytest.warns(NormscopeWarning, match="the model was not called"), sampler:
        step(x)
    assert sampler.table().empty


def test_measuring_does_not_load_the_compiler():
    """It takes seconds to import."""
    measure = "ns.probes.spectrum(torch.nn.Linear(2, 2), torch.ones(3, 2))"
    script = f"import sys, torch, normscope as ns; {measure}; print('torch._dynamo' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
