"""Cells and instruments on a pretended accelerator: nothing of theirs stays behind on the CPU."""

import dataclasses

import pytest
import torch
from benchmarks.device import cells, errors, layers, probes
from pretended import DEVICE, pretended_device

from normscope.nn import AdaptiveConv2d

SMALL = {"images": 64, "batch": 16, "test_images": 16, "span": 1}
LEFT_OUT = {
    "try_rate": "its least number of steps takes too long here",
    "channel_contributions": "it indexes with a list, which torch does not hand on to the pretended device",
}
CASES = [case for case in cells.CASES if case.name.partition("(")[0] not in LEFT_OUT]


def ready(case):
    """A cell's function and a small configuration."""
    function, config = case.ready("mnist5k")
    names = {field.name for field in dataclasses.fields(config)}
    return function, dataclasses.replace(config, **{name: SMALL[name] for name in names & SMALL.keys()})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_cell_computes_the_same_on_another_device(case):
    function, config = ready(case)
    wanted = function(config).to_pandas()
    with pretended_device():
        found = function(config).to_pandas()
    assert errors.of_rows(found, wanted) < 1e-4


@pytest.mark.parametrize("name", probes.INSTRUMENTS)
def test_an_instrument_reads_the_same_on_another_device(name, monkeypatch):
    monkeypatch.setattr(probes, "BATCH", 4)
    instrument = probes.INSTRUMENTS[name]
    wanted = probes.read(instrument, torch.float64, "cpu")
    with pretended_device():
        found = probes.read(instrument, torch.float64, DEVICE.type)
    assert errors.of_columns(found, wanted, probes.LEFT_OUT) < 1e-9


@pytest.mark.parametrize(("name", "make"), list(layers.makers()), ids=lambda value: str(value)[:40])
def test_a_layer_computes_the_same_on_another_device(name, make):
    wanted = layers.passes(make, torch.float64, "cpu")
    with pretended_device():
        found = layers.passes(make, torch.float64, DEVICE.type)
        assert all(tensor.device == DEVICE for tensor in found.values())
        assert errors.of_tensors(found, wanted) < 1e-12


def test_noise_from_a_generator_of_the_cpu_is_the_same_on_another_device():
    gradients = []
    for kind in ("cpu", DEVICE.type):
        with pretended_device():
            torch.manual_seed(0)
            layer = AdaptiveConv2d(2, 3, 3, error_noise=1.0, generator=torch.Generator().manual_seed(1)).to(
                kind
            )
            x = torch.randn((4, 2, 6, 6), generator=torch.Generator().manual_seed(2)).to(kind)
            layer(x).square().sum().backward()
            gradients.append(layer.weight.grad.cpu())
    assert torch.equal(*gradients)


def test_tensors_of_two_devices_may_not_meet_on_the_pretended_one():
    with pretended_device():
        there = torch.ones(3).to(DEVICE)
        with pytest.raises(RuntimeError, match="tensors of two devices meet"):
            there + torch.ones(3)
        with pytest.raises(TypeError, match="another device"):
            there.numpy()
        with pytest.raises(RuntimeError, match="a generator of the CPU draws elsewhere"):
            torch.rand(3, device=DEVICE, generator=torch.Generator())
        assert torch.equal((there + 1).cpu(), torch.full((3,), 2.0))
