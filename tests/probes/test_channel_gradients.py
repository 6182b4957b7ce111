"""Gradients by channel and in bins, against loops over what ``backward`` leaves."""

import copy

import numpy as np
import pytest
import torch
from gradient_models import CONVOLUTIONS, NORMS, Twice, backward, batch, squares
from torch import nn

import normscope as ns
from normscope.errors import InputError, UnknownNameError


def loop_over_pairs(layer, gradient):
    """(output, input) → the kernel's gradients, by the definition of each kind of layer."""
    groups = getattr(layer, "groups", 1)
    transposed = "Transpose" in type(layer).__name__
    found = {}
    for first in range(gradient.shape[0]):
        for second in range(gradient.shape[1]):
            group = first // (gradient.shape[0] // groups)
            other = group * gradient.shape[1] + second
            pair = (other, first) if transposed else (first, other)
            found[pair] = gradient[first, second].double().numpy().ravel()
    return dict(sorted(found.items()))


@pytest.mark.parametrize(("layer", "shape"), CONVOLUTIONS, ids=str)
def test_a_pair_of_channels_has_the_mean_over_its_kernel(layer, shape):
    model, x = nn.Sequential(layer), batch(*shape)
    y = batch(*model(x).shape, seed=2)
    rows = ns.probes.channel_gradients(model, x, y, loss=squares)
    trained = backward(model, x, y)[0]
    inner = trained.layer if isinstance(trained, Twice) else trained
    expected = loop_over_pairs(inner, inner.weight.grad)
    assert list(zip(rows["output_channel"], rows["input_channel"], strict=True)) == list(expected)
    np.testing.assert_allclose(rows["mean_abs"], [abs(g).mean() for g in expected.values()], rtol=1e-6)
    np.testing.assert_allclose(rows["mean"], [g.mean() for g in expected.values()], rtol=1e-5, atol=1e-9)
    assert rows["count"].tolist() == [g.size for g in expected.values()]


def test_a_linear_layer_under_the_sum_of_its_outputs_has_the_sums_of_its_inputs():
    """L = Σ_b Σ_o W_o·x_b: every row of ∂L/∂W is Σ_b x_b."""
    x = batch(5, 3).double()
    rows = ns.probes.channel_gradients(
        nn.Linear(3, 2).double(), x, None, layers=[""], loss=lambda output, y: output.sum()
    )
    np.testing.assert_allclose(rows["mean"], x.sum(0).tile(2), rtol=1e-14)


def test_a_grouped_convolution_has_the_numbers_of_its_groups_apart():
    grouped = nn.Conv2d(4, 6, 3, groups=2, bias=False)
    halves = [nn.Conv2d(2, 3, 3, bias=False) for _ in range(2)]
    for half, weight in zip(halves, grouped.weight.data.chunk(2), strict=True):
        half.weight.data = weight.clone()
    x, y = batch(3, 4, 5, 5), batch(3, 6, 3, 3, seed=2)
    rows = ns.probes.channel_gradients(nn.Sequential(grouped), x, y, loss=squares)
    for number, half in enumerate(halves):
        at, to = slice(2 * number, 2 * number + 2), slice(3 * number, 3 * number + 3)
        alone = ns.probes.channel_gradients(
            nn.Sequential(half), x[:, at], y[:, to], loss=lambda *pair: squares(*pair) / 2
        )
        own = rows[rows["output_channel"].between(to.start, to.stop - 1)]
        np.testing.assert_allclose(own["mean_abs"], alone["mean_abs"], rtol=1e-5)
        assert own["input_channel"].tolist() == (alone["input_channel"] + at.start).tolist()


class Conv1D(nn.Module):
    """As in transformers: a linear layer whose weight is (in, out)."""

    def __init__(self, nf, nx):
        super().__init__()
        self.nf = nf
        self.weight, self.bias = nn.Parameter(batch(nx, nf)), nn.Parameter(torch.zeros(nf))

    def forward(self, x):
        return x @ self.weight + self.bias


def test_a_linear_layer_with_its_weight_transposed_has_the_rows_of_its_equal():
    layer, equal = Conv1D(3, 2), nn.Linear(2, 3)
    equal.weight.data, equal.bias.data = layer.weight.data.T.clone(), layer.bias.data.clone()
    x, y = batch(4, 2), batch(4, 3, seed=2)
    rows, wanted = (
        ns.probes.channel_gradients(nn.Sequential(one), x, y, loss=squares) for one in (layer, equal)
    )
    columns = ["output_channel", "input_channel"]
    assert rows[columns].equals(wanted[columns])
    np.testing.assert_allclose(rows["mean"], wanted["mean"], rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated.*:FutureWarning")
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(
    "reparametrized",
    [nn.utils.parametrizations.spectral_norm, nn.utils.parametrizations.weight_norm, nn.utils.weight_norm],
)
def test_the_weight_of_a_parametrized_layer_is_the_one_that_it_computes(reparametrized, times):
    layer = reparametrized(nn.Linear(3, 3)).eval()
    x, y = batch(4, 3), batch(4, 3, seed=2)
    layer(x)
    equal = nn.Linear(3, 3)
    equal.weight.data, equal.bias.data = layer.weight.detach().clone(), layer.bias.detach().clone()
    rows, wanted = (
        ns.probes.channel_gradients(Twice(one) if times == 2 else nn.Sequential(one), x, y, loss=squares)
        for one in (layer, equal)
    )
    np.testing.assert_allclose(rows["mean"], wanted["mean"], rtol=1e-4, atol=1e-7)


def test_the_projection_that_an_attention_layer_multiplies_itself_is_measured():
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    x, y = batch(2, 3, 4), batch(2, 3, 4, seed=2)
    rows = ns.probes.channel_gradients(attention, (x, x, x), y, loss=lambda output, y: squares(output[0], y))
    copied = copy.deepcopy(attention)
    squares(copied(x, x, x)[0], y).backward()
    assert set(rows["layer"]) == {"out_proj"}
    np.testing.assert_allclose(rows["mean"], copied.out_proj.weight.grad.flatten(), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("read", [ns.probes.channel_gradients, ns.probes.gradient_histogram])
def test_only_layers_with_a_weight_can_be_named(read):
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    with pytest.raises(InputError, match="no convolution and no linear layer"):
        read(model, batch(3, 2), batch(3, 2), layers=["1"], loss=squares)
    with pytest.raises(UnknownNameError):
        read(model, batch(3, 2), batch(3, 2), layers=["2"], loss=squares)


@pytest.mark.parametrize("scale", ["linear", "symlog"])
@pytest.mark.parametrize("bins", [1, 4, 7])
def test_a_histogram_has_the_counts_of_numpys_on_its_stated_edges(scale, bins):
    model, x, y = nn.Sequential(nn.Linear(9, 8)), batch(6, 9), batch(6, 8, seed=2)
    rows = ns.probes.gradient_histogram(model, x, y, bins=bins, scale=scale, loss=squares)
    g = backward(model, x, y)[0].weight.grad.double().numpy().ravel()
    edges = [*rows["low"], rows["high"].iloc[-1]]
    assert rows["low"].tolist()[1:] == rows["high"].tolist()[:-1]
    assert (rows["bin"].tolist(), len(edges)) == (list(range(bins)), bins + 1)
    most = abs(g).max()
    spaced = np.linspace(-1, 1, bins + 1)
    if scale == "symlog":  # sign(g)·log10(1 + |g|/t), t = m/1000, is evenly spaced
        spaced = np.sign(spaced) * (1001 ** abs(spaced) - 1) / 1000
    np.testing.assert_allclose(edges, most * spaced, rtol=1e-10, atol=1e-12 * most)
    assert (edges[0], edges[-1]) == pytest.approx((-most, most), rel=1e-7)
    assert rows["count"].tolist() == np.histogram(g, edges)[0].tolist()
    assert rows["count"].sum() == 72


def test_gradients_that_are_all_zero_are_in_the_middle_bin_of_minus_one_to_one():
    x = batch(3, 2)
    rows = ns.probes.gradient_histogram(
        nn.Sequential(nn.Linear(2, 2)), x, x, bins=3, loss=lambda output, y: 0 * output.sum()
    )
    assert (rows["count"].tolist(), rows["low"].iloc[0], rows["high"].iloc[-1]) == ([0, 4, 0], -1, 1)


def test_a_histograms_bins_and_scale_are_checked():
    model, x = nn.Sequential(nn.Linear(2, 2)), batch(3, 2)
    for bins in (0, 2.0, True):
        with pytest.raises(InputError, match="bins must be a whole number"):
            ns.probes.gradient_histogram(model, x, x, bins=bins, loss=squares)
    with pytest.raises(UnknownNameError, match="scale 'log'"):
        ns.probes.gradient_histogram(model, x, x, scale="log", loss=squares)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(4, 6, 3, stride=2, groups=2), (3, 4, 9)),
        (nn.Conv2d(3, 5, 3, padding=1, padding_mode="reflect"), (2, 3, 6, 7)),
        (nn.Conv3d(2, 3, 2), (2, 2, 3, 4, 3)),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (2, 4, 3, 3)),
        (nn.Linear(3, 5), (4, 3)),
        (nn.Linear(3, 5), (4, 2, 3)),
        (nn.Linear(3, 5), (3,)),
        *NORMS,
    ],
    ids=str,
)
def test_the_gradient_of_a_channels_bias_is_that_of_the_layers_own(layer, shape):
    model, x = nn.Sequential(layer), batch(*shape)
    y = batch(*model(x).shape, seed=2)
    rows = ns.probes.bias_gradients(model, x, y, loss=squares)
    expected = backward(model, x, y)[0].bias.grad
    np.testing.assert_allclose(rows["gradient"], expected, rtol=1e-4, atol=1e-7)
    assert rows["channel"].tolist() == list(range(len(expected)))
    assert set(rows["count"]) == {y.numel() // len(expected)}


def test_a_convolution_without_a_bias_has_the_gradient_that_a_bias_would_have():
    plain, x = nn.Conv2d(2, 3, 3, bias=False), batch(4, 2, 5, 5)
    biased = nn.Conv2d(2, 3, 3)
    biased.weight.data, biased.bias.data = plain.weight.data.clone(), torch.zeros(3)
    models = [nn.Sequential(layer, nn.ReLU(inplace=True)) for layer in (plain, biased)]
    y = batch(4, 3, 3, 3, seed=2)
    rows = ns.probes.bias_gradients(models[0], x, y, loss=squares)
    np.testing.assert_allclose(rows["gradient"], backward(models[1], x, y)[0].bias.grad, rtol=1e-5)


def test_a_bias_in_front_of_a_batch_norm_has_no_gradient():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.Conv2d(3, 2, 2)).double()
    rows = ns.probes.bias_gradients(
        model, batch(4, 2, 6, 6).double(), batch(4, 2, 3, 3).double(), loss=squares
    )
    sizes = rows.groupby("layer")["gradient"].agg(lambda numbers: numbers.abs().max())
    assert sizes["0"] < 1e-15
    assert sizes["1"] > 1e-3


def test_the_calls_of_a_layer_are_summed_and_a_module_of_any_kind_may_be_named():
    layer = nn.Linear(3, 3)
    model, x, y = Twice(layer), batch(4, 3), batch(4, 3, seed=2)
    rows = ns.probes.bias_gradients(model, x, y, loss=squares)
    np.testing.assert_allclose(rows["gradient"], backward(model, x, y).layer.bias.grad, rtol=1e-5)
    assert set(rows["count"]) == {8}
    whole = ns.probes.bias_gradients(model, x, y, layers=[""], loss=squares)
    np.testing.assert_allclose(whole["gradient"], (2 * (model(x) - y).detach() / 12).sum(0), rtol=1e-5)
    with pytest.raises(UnknownNameError):
        ns.probes.bias_gradients(model, x, y, layers=["other"], loss=squares)


def test_a_layer_whose_channels_change_between_calls_is_refused_by_name():
    class Changing(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.Tanh()
            self.layer = nn.Linear(2, 3)

        def forward(self, x):
            return self.act(self.layer(x)).sum() + self.act(self.layer(x)[:, :2]).sum()

    with pytest.raises(InputError, match=r"layer 'act' has . channels in one call and . in another"):
        ns.probes.bias_gradients(Changing(), batch(3, 2), None, layers="act", loss=lambda output, y: output)
