"""Models, layers and inputs that the instruments refuse, each in one sentence."""

import pytest
import torch
from torch import nn

import normscope as ns
from normscope.errors import InputError, UnknownNameError

MODEL = nn.Sequential(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6))


def test_an_unknown_layer_is_refused_by_name():
    with pytest.raises(UnknownNameError, match="unknown layer 'conv9'"):
        ns.probes.spectrum(MODEL, torch.zeros(4, 2, 8, 8), layers=["conv9"])
    with pytest.raises(InputError, match="BatchNorm2d"):
        ns.probes.spectrum(MODEL, torch.zeros(4, 2, 8, 8), layers=["1"])


@pytest.mark.parametrize("read", [ns.probes.spectrum, ns.probes.moments])
@pytest.mark.parametrize("layers", [[0], 1.5])
def test_a_layer_that_is_not_named_is_refused(read, layers):
    with pytest.raises(InputError, match="layers must be names"):
        read(nn.Linear(2, 2), torch.ones(1, 2), layers=layers)


@pytest.mark.parametrize("read", [ns.probes.spectrum, ns.probes.moments, ns.probes.SpectrumSampler])
def test_a_model_that_is_not_a_module_is_refused(read):
    with pytest.raises(InputError, match="model must be"):
        read(torch.relu, 1)


def test_lazy_layers_are_refused():
    with pytest.raises(InputError, match="lazy"):
        ns.probes.spectrum(nn.LazyLinear(3), torch.zeros(4, 3))


def test_an_input_of_too_few_dimensions_is_refused_in_a_sentence():
    with pytest.raises(InputError, match=r"a Conv2d takes .* not an input of shape \(6, 3\)"):
        ns.probes.spectrum(nn.Conv2d(3, 4, 3), torch.randn(6, 3))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.randn(8, 1, 28, 28), r"this input of shape \(8, 1, 28, 28\): mat1"),
        ("x", r"this input \(str\): "),
    ],
)
@pytest.mark.parametrize("read", [ns.probes.spectrum, ns.probes.moments])
def test_an_input_that_the_model_cannot_take_is_refused_in_a_sentence(read, x, words):
    with pytest.raises(InputError, match=words) as raised:
        read(ns.networks.lenet(), x)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("probe", [ns.probes.spectrum, ns.probes.moments])
def test_a_model_without_values_is_refused(probe):
    with pytest.raises(InputError, match="on the meta device, which keeps no values"):
        probe(nn.Linear(3, 2, device="meta"), torch.ones(4, 3, device="meta"))
