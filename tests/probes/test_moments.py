"""Moments against direct computation, by law, and the promise to leave no trace."""

import copy
import importlib
import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError, UnknownNameError
from normscope.nn.channels_last import ChannelsLast

COLUMNS = ["layer", "kind", "channel", "count", "mean", "variance", "power", "nonfinite", "note"]


def batch(*shape, seed=1, scale=1.0, shift=0.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale + shift


def check(rows, output, dim=1):
    """The rows of one layer against numpy in float64 on its output."""
    values = np.moveaxis(output.detach().double().numpy(), dim, 0).reshape(output.shape[dim], -1)
    assert rows["channel"].tolist() == list(range(len(values)))
    assert rows["count"].tolist() == [values.shape[1]] * len(values)
    np.testing.assert_allclose(rows["mean"], values.mean(1), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(rows["variance"], values.var(1), rtol=1e-12)
    np.testing.assert_allclose(rows["power"], (values**2).mean(1), rtol=1e-12)
    assert (rows["nonfinite"] == 0).all()


class LlamaRMSNorm(nn.Module):
    """As in transformers: a norm over the last dimension that does not derive from the framework's."""

    def __init__(self, features):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


@pytest.mark.parametrize(
    ("layer", "shape", "dim"),
    [
        (nn.Linear(3, 5), (7, 3), 1),
        (nn.Linear(3, 5), (7, 4, 3), 2),
        (nn.Linear(3, 5), (3,), 0),
        (nn.Conv1d(3, 5, 2), (4, 3, 9), 1),
        (nn.Conv2d(3, 6, 3, groups=3), (4, 3, 9, 8), 1),
        (nn.Conv2d(3, 6, 3), (3, 9, 8), 0),
        (nn.Conv3d(2, 3, 2), (2, 2, 4, 4, 4), 1),
        (nn.ConvTranspose2d(3, 4, 3, stride=2), (2, 3, 5, 5), 1),
        (nn.BatchNorm1d(3), (9, 3), 1),
        (nn.BatchNorm1d(3), (9, 3, 4), 1),
        (nn.BatchNorm2d(3), (9, 3, 4, 5), 1),
        (ns.nn.SuppressNorm(3), (9, 3, 4, 5), 1),
        (nn.GroupNorm(2, 4), (3, 4, 5, 5), 1),
        (nn.LayerNorm(4), (3, 7, 4), 2),
        (nn.RMSNorm(4), (3, 7, 4), 2),
        (nn.LayerNorm((4, 5, 5)), (3, 4, 5, 5), 1),
        (nn.InstanceNorm2d(4, affine=True), (3, 4, 5, 5), 1),
        (LlamaRMSNorm(4), (3, 7, 4), 2),
    ],
    ids=str,
)
def test_every_layers_output_is_measured_channel_by_channel(layer, shape, dim):
    model = nn.Sequential(layer)
    x = batch(*shape, scale=3.0, shift=5.0)
    rows = ns.probes.moments(model, x)
    assert list(rows.columns) == COLUMNS
    assert set(rows["layer"]) == {"0"}
    assert set(rows["kind"]) == {type(layer).__name__.lower()}
    check(rows, copy.deepcopy(model)(x), dim)


def test_the_norm_in_a_channels_last_wrapper_is_measured_where_the_wrapper_puts_its_channels():
    model = nn.Sequential(ChannelsLast(nn.BatchNorm1d(4)))
    x = batch(3, 7, 4, scale=3.0, shift=5.0)
    rows = ns.probes.moments(model, x)
    assert set(rows["layer"]) == {"0.norm"}
    check(rows, copy.deepcopy(model)(x), 2)


def test_layers_come_in_the_models_order_and_other_modules_are_left_out():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 4))
    rows = ns.probes.moments(model, batch(5, 1, 8, 8))
    assert rows.drop_duplicates("layer")[["layer", "kind"]].to_numpy().tolist() == [
        ["0", "conv2d"],
        ["1", "batchnorm2d"],
        ["4", "linear"],
    ]


def test_named_layers_alone_are_measured_whatever_their_kind():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    x = batch(5, 1, 8, 8)
    rows = ns.probes.moments(model, x, layers=["1"])
    assert set(rows["layer"]) == {"1"}
    check(rows, model(x))
    with pytest.raises(UnknownNameError, match="layer '2'"):
        ns.probes.moments(model, x, layers=["2"])


def test_a_batch_norm_in_training_has_its_bias_as_mean_and_its_gain_squared_as_variance():
    """Var = γ² σ²/(σ² + ε), mean = β, whatever comes in."""
    norm = nn.BatchNorm2d(3, eps=0.5).double()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, -3.0]))
        norm.bias.copy_(torch.tensor([0.0, 4.0, -1.0]))
    x = batch(16, 3, 6, 6, scale=2.0, shift=7.0).double()
    rows = ns.probes.moments(nn.Sequential(norm), x)
    sigma = x.var((0, 2, 3), correction=0)
    np.testing.assert_allclose(rows["mean"], [0.0, 4.0, -1.0], atol=1e-12)
    np.testing.assert_allclose(
        rows["variance"], torch.tensor([1.0, 4.0, 9.0]).double() * sigma / (sigma + 0.5), rtol=1e-12
    )


def test_in_evaluation_mode_the_norm_uses_its_running_statistics():
    model = nn.Sequential(nn.BatchNorm2d(3)).eval()
    x = batch(4, 3, 5, 5, shift=2.0)
    rows = ns.probes.moments(model, x)
    check(rows, model(x))
    assert rows["mean"].min() > 1


@settings(max_examples=40, deadline=None)
@given(scale=st.floats(0.01, 100), shift=st.floats(-100, 100), seed=st.integers(0, 1000))
def test_an_affine_map_of_a_layers_output_moves_the_moments_by_law(scale, shift, seed):
    """Of a·y + b: mean aμ + b, variance a²σ², and power is always variance + mean²."""
    x = batch(6, 2, 5, 5, seed=seed).double()
    plain = nn.Conv2d(2, 3, 3, bias=False).double()
    moved = nn.Conv2d(2, 3, 3).double()
    with torch.no_grad():
        moved.weight.copy_(plain.weight * scale)
        moved.bias.fill_(shift)
    before, after = (ns.probes.moments(nn.Sequential(layer), x) for layer in (plain, moved))
    tolerance = 1e-12 * (scale + abs(shift)) ** 2
    np.testing.assert_allclose(after["mean"], scale * before["mean"] + shift, atol=tolerance + 1e-12)
    np.testing.assert_allclose(after["variance"], scale**2 * before["variance"], rtol=1e-6, atol=tolerance)
    np.testing.assert_allclose(after["power"], after["variance"] + after["mean"] ** 2, rtol=1e-12)


def test_a_small_spread_on_a_large_mean_is_not_cancelled_away():
    class Fixed(nn.Linear):
        def forward(self, x):
            return x

    x = 1e8 + torch.arange(8, dtype=torch.float64)[:, None]
    rows = ns.probes.moments(nn.Sequential(Fixed(1, 1)), x)
    assert rows["variance"].item() == 5.25  # (8² − 1)/12


def test_values_that_are_not_finite_are_counted_and_flow_through():
    model = nn.Sequential(nn.Conv2d(3, 3, 1, groups=3, bias=False))
    nn.init.ones_(model[0].weight)
    x = torch.ones(2, 3, 4, 4)
    x[0, 0, 0, 0] = math.inf
    x[0, 1, :, 0] = math.nan
    rows = ns.probes.moments(model, x)
    assert rows["nonfinite"].tolist() == [1, 4, 0]
    assert rows["mean"][0] == math.inf
    assert rows["power"][0] == math.inf
    assert rows["variance"][0] != rows["variance"][0]
    assert rows.loc[1, ["mean", "variance", "power"]].isna().all()
    assert rows.loc[2, ["mean", "variance", "power"]].tolist() == [1.0, 0.0, 1.0]


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.again = self.conv
        self.unused = nn.Conv2d(2, 2, 3)

    def forward(self, x):
        return self.again(self.conv(x))


def test_the_calls_of_a_shared_layer_are_taken_together_under_its_first_name():
    model, x = Shared(), batch(4, 2, 6, 6)
    rows = ns.probes.moments(model, x)
    once = model.conv(x)
    check(rows[rows["layer"] == "conv"], torch.cat([once, model.conv(once)]))
    assert set(rows["layer"]) == {"conv", "unused"}


def test_a_layer_that_did_not_run_has_one_row_without_numbers():
    rows = ns.probes.moments(Shared(), batch(4, 2, 6, 6))
    (row,) = rows[rows["layer"] == "unused"].to_dict("records")
    assert (row["count"], row["note"]) == (0, "the layer did not run")
    assert math.isnan(row["mean"])
    assert rows["channel"].isna().sum() == 1


class NormWithActivation(nn.BatchNorm2d):
    """As in timm: a norm that holds its activation as a module."""

    def __init__(self, channels):
        super().__init__(channels)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(super().forward(x))


class ScaledNorm(nn.Module):
    """A norm that keeps its gain in a module of its own."""

    def __init__(self, channels):
        super().__init__()
        self.scale = nn.ParameterList([torch.ones(channels)])

    def forward(self, x):
        return x / x.square().mean((2, 3), keepdim=True).sqrt() * self.scale[0].view(-1, 1, 1)


@pytest.mark.parametrize("norm", [NormWithActivation(3), ScaledNorm(3)], ids=type)
def test_a_norm_with_modules_of_its_own_is_measured(norm):
    x = batch(9, 3, 4, 5)
    rows = ns.probes.moments(nn.Sequential(norm), x)
    assert set(rows["layer"]) == {"0"}
    check(rows, copy.deepcopy(norm)(x))


@pytest.mark.parametrize("kind", ["LlamaRMSNorm", "T5LayerNorm", "MistralRMSNorm"])
def test_the_rms_norms_of_transformers_are_measured_by_channel(kind):
    modules = {"LlamaRMSNorm": "llama", "T5LayerNorm": "t5", "MistralRMSNorm": "mistral"}
    module = importlib.import_module(f"transformers.models.{modules[kind]}.modeling_{modules[kind]}")
    norm, x = getattr(module, kind)(6), batch(2, 7, 6, scale=3.0)
    check(ns.probes.moments(nn.Sequential(norm), x), norm(x), 2)


def test_a_layer_whose_output_is_not_a_tensor_says_so():
    class Pair(nn.Linear):
        def forward(self, x):
            return x, x

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.pair = Pair(2, 2)

        def forward(self, x):
            return self.pair(x)[0]

    assert ns.probes.moments(Model(), batch(3, 2))["note"].tolist() == ["the output is not a tensor"]


def test_a_layer_whose_channels_change_between_calls_is_refused():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm((3, 3))

        def forward(self, x):
            return self.norm(x[:, :2]).sum() + self.norm(x).sum()

    with pytest.raises(InputError, match=r"layer 'norm' has 2 channels in one call and 3 in another"):
        ns.probes.moments(Model(), batch(4, 3, 3, 3))


def test_a_model_without_layers_gives_an_empty_table():
    rows = ns.probes.moments(nn.Sequential(nn.ReLU()), batch(3, 2))
    assert list(rows.columns) == COLUMNS
    assert rows.empty


class Drawing(nn.Module):
    """Draws from every global generator, and may fail."""

    def __init__(self, fail):
        super().__init__()
        self.fail = fail

    def forward(self, x):
        noise = F.dropout(torch.ones_like(x)) + random.random() + np.random.rand()  # noqa: NPY002
        if self.fail:
            raise RuntimeError("as asked")
        return x + noise


@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_the_model_and_every_generator_are_left_as_they_were(fail, training):
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), Drawing(fail)).train(training)
    state = copy.deepcopy(model.state_dict())
    torch.manual_seed(0), random.seed(0), np.random.seed(0)  # noqa: NPY002
    drawn = torch.rand(3).tolist(), random.random(), np.random.rand()  # noqa: NPY002
    torch.manual_seed(0), random.seed(0), np.random.seed(0)  # noqa: NPY002
    try:
        ns.probes.moments(model, batch(4, 2, 6, 6))
    except InputError:
        assert fail
    assert (torch.rand(3).tolist(), random.random(), np.random.rand()) == drawn  # noqa: NPY002
    assert model.training is training
    assert not any(module._forward_hooks for module in model.modules())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name])
