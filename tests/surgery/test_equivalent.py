import copy

import pytest
import torch
from torch import nn

import normscope as ns
from normscope.errors import InputError
from normscope.nn.module_kinds import norms
from normscope.surgery import changes


def test_the_equivalent_network_agrees_on_the_batch_with_the_model_in_training_mode(built, output, off):
    model, x = built
    new = ns.equivalent_network(model, x)
    assert not list(norms(new))
    assert new.training
    assert off(output(new, x), output(copy.deepcopy(model).train(), x)) < 1e-4
    assert off(output(new, x), output(model, x)) > 1e-2  # which the running statistics would not give


def test_the_weights_are_morwanis_equivalent_point(lived_in):
    model = lived_in(nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4))).double()
    x = torch.randn(20, 5, dtype=torch.float64)
    fc, norm = model
    y = x @ fc.weight.T + fc.bias
    sigma, mu = (y.var(0, correction=0) + norm.eps).sqrt(), y.mean(0)
    (new, _) = ns.equivalent_network(model, x)
    torch.testing.assert_close(new.weight, (norm.weight / sigma)[:, None] * fc.weight)
    torch.testing.assert_close(new.bias, norm.weight / sigma * (fc.bias - mu) + norm.bias)


@pytest.mark.parametrize("spec", ["amplify", "suppress", "batch(center=False)", "batch(rescale=False)"])
def test_any_norm_that_is_an_affine_map_per_channel_on_the_batch_has_an_equivalent(spec, output, off):
    model = ns.networks.lenet(spec)
    x = torch.randn(4, 1, 32, 32)
    assert off(output(ns.equivalent_network(model, x), x), output(copy.deepcopy(model).train(), x)) < 1e-4


def test_the_equivalent_network_can_be_trained_from_there():
    new = ns.equivalent_network(ns.networks.lenet("batch"), x := torch.randn(4, 1, 32, 32))
    new(x).square().mean().backward()
    assert all(p.grad is not None and p.grad.norm() > 0 for p in new.parameters())


def test_a_channel_that_is_constant_in_the_batch_agrees(output, off):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    nn.init.zeros_(model[0].weight[:3])
    nn.init.constant_(model[0].bias, 100.0)
    x = torch.randn(16, 4)
    assert off(output(ns.equivalent_network(model, x), x), output(copy.deepcopy(model).train(), x)) < 1e-4


def test_dropout_agrees_for_the_same_seed(output, off):
    model = nn.Sequential(
        nn.Linear(4, 8), nn.Dropout(0.3), nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)
    )
    x = torch.randn(16, 4)
    torch.manual_seed(5)
    new = ns.equivalent_network(model, x)
    mine = output(new, x)  # surgery leaves the generator as it was
    torch.manual_seed(5)
    assert off(mine, output(model, x)) < 1e-4


def test_a_mapping_is_the_models_keyword_arguments(output, off):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.norm = nn.Linear(3, 4), nn.BatchNorm1d(4)

        def forward(self, values, scale=1.0):
            return self.norm(self.fc(values)) * scale

    model, x = Named(), torch.randn(6, 3)
    with torch.no_grad():
        wanted = copy.deepcopy(model)(x, 2.0)
        for given in ({"values": x, "scale": 2.0}, (x, 2.0)):
            torch.testing.assert_close(ns.equivalent_network(model, given)(x, 2.0), wanted)


def test_it_tells_what_was_folded_into_what():
    new = ns.equivalent_network(ns.networks.lenet("batch"), torch.randn(2, 1, 32, 32))
    assert [str(c) for c in changes(new)] == [
        "folded norm1 (BatchNorm of 6) into conv1",
        "folded norm2 (BatchNorm of 16) into conv2",
    ]


@pytest.mark.parametrize("norm", [nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), nn.LayerNorm((4, 6, 6))], ids=str)
def test_a_norm_that_treats_samples_differently_is_refused_by_name(norm):
    with pytest.raises(InputError, match=r"norm '1'.*treats samples differently"):
        ns.equivalent_network(nn.Sequential(nn.Conv2d(3, 4, 1), norm), torch.randn(3, 3, 6, 6))


def test_a_norm_called_twice_is_refused_by_name():
    block = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.ReLU())
    with pytest.raises(InputError, match=r"norm '0\.1' is called more than once"):
        ns.equivalent_network(nn.Sequential(block, block), torch.randn(5, 3))


def test_a_norm_after_a_nonlinearity_and_before_another_is_refused_by_name():
    with pytest.raises(InputError, match=r"'1'.*comes from relu.*goes to tanh"):
        ns.equivalent_network(nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3), nn.Tanh()), torch.randn(5, 3))


def test_one_value_a_channel_is_refused():
    with pytest.raises(InputError, match=r"norm '1' refuses the batch"):
        ns.equivalent_network(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), torch.randn(1, 3))


class FrozenNorm(nn.BatchNorm1d):
    """Stays in evaluation mode, as detection models have it."""

    def train(self, mode=True):
        return super().train(False)


def test_a_norm_that_stays_in_evaluation_mode_keeps_its_running_statistics(lived_in, output, off):
    model = lived_in(
        nn.Sequential(nn.Linear(4, 4), FrozenNorm(4), nn.ReLU(), nn.Linear(4, 4), nn.BatchNorm1d(4))
    )
    x = torch.randn(16, 4)
    new = ns.equivalent_network(model, x)
    assert off(output(new, x), output(copy.deepcopy(model).train(), x)) < 1e-4
    assert off(output(new[:2], x), output(model[:2], x)) < 1e-5


def test_an_equivalent_that_differs_from_the_model_on_the_batch_is_refused():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.norm = nn.Linear(3, 4), nn.BatchNorm1d(4)

        def forward(self, x):
            kind = type(self.norm).__name__  # code that asks for the norm's class
            return self.norm(self.fc(x)) * (2 if kind.startswith("BatchNorm") else 1)

    with pytest.raises(InputError, match=r"off by 0\.5 .* of Named"):
        ns.equivalent_network(Named(), torch.randn(6, 3))
