"""The alignment of weight gradients against the written-out terms, by law, and at any budget of memory."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError, UnknownNameError
from normscope.probes._alignment import sums

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")

SUMS = ["abs_terms", "abs_by_example", "abs_by_position", "abs_gradient"]


def batch(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def squares(output, y):
    """A loss of any output: the terms of different places differ in size and sign."""
    return (output * batch(*output.shape, seed=7)).sum() + output.square().sum()


class Conv1D(nn.Module):
    """As in transformers: a linear layer whose weight is (in, out)."""

    def __init__(self, nf, nx):
        super().__init__()
        self.nf = nf
        self.weight, self.bias = nn.Parameter(torch.randn(nx, nf)), nn.Parameter(torch.zeros(nf))

    def forward(self, x):
        return x @ self.weight + self.bias


def written_out(layer, x, loss=squares):
    """Every term, (*weight, B, positions): the input of a weight is the layer's output if that weight alone is 1."""
    output = layer(x)
    (gradient,) = torch.autograd.grad(loss(output, None), output)
    alone, terms = dict(layer.named_parameters()), []
    for place in range(layer.weight.numel()):
        alone = {name: torch.zeros_like(one) for name, one in layer.named_parameters()}
        alone["weight"].view(-1)[place] = 1
        products = gradient * torch.func.functional_call(layer, alone, (x,))
        terms.append(_by_example(layer, products))
    return torch.stack(terms)


def _by_example(layer, products):
    """Products summed over the output channels, as (B, positions)."""
    if hasattr(layer, "kernel_size"):
        dims = len(layer.kernel_size)
        return (
            products.sum(-1 - dims)
            .reshape(-1 if products.ndim == dims + 2 else 1, *products.shape[-dims:])
            .flatten(1)
        )
    total = products.sum(-1)
    return total.reshape(len(total) if total.ndim else 1, -1)


def four(terms):
    """The four sums of every weight, divided by the number of terms, (weights, 4)."""
    each = (
        terms.abs().sum((1, 2)),
        terms.sum(2).abs().sum(1),
        terms.sum(1).abs().sum(1),
        terms.sum((1, 2)).abs(),
    )
    return torch.stack(each, 1).detach().numpy() / terms[0].numel()


LAYERS = {
    "conv1d": (nn.Conv1d(3, 4, 3), (5, 3, 9)),
    "conv1d, stride and dilation": (nn.Conv1d(2, 3, 3, stride=2, padding=2, dilation=2), (4, 2, 11)),
    "conv2d": (nn.Conv2d(2, 3, 3, padding=1), (4, 2, 5, 6)),
    "conv2d without a batch": (nn.Conv2d(2, 3, 3, padding=1), (2, 5, 6)),
    "conv2d, one example": (nn.Conv2d(2, 3, 2), (1, 2, 5, 6)),
    "conv2d, one position": (nn.Conv2d(2, 3, 4), (6, 2, 4, 4)),
    "conv2d, stride": (nn.Conv2d(2, 3, (2, 3), stride=(2, 1), padding=(0, 1)), (4, 2, 6, 5)),
    "conv2d, same": (nn.Conv2d(2, 3, (2, 4), padding="same"), (3, 2, 5, 5)),
    "conv2d, 1x1": (nn.Conv2d(3, 4, 1), (5, 3, 4, 3)),
    "conv2d, groups": (nn.Conv2d(4, 6, 3, groups=2, padding=1), (3, 4, 5, 4)),
    "conv2d, depthwise": (nn.Conv2d(3, 6, 3, groups=3), (3, 3, 5, 4)),
    "conv2d, circular": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (3, 2, 4, 5)),
    "conv2d, reflect": (nn.Conv2d(2, 3, 3, padding=2, padding_mode="reflect"), (3, 2, 4, 5)),
    "conv2d, replicate": (nn.Conv2d(2, 3, 3, padding=2, stride=2, padding_mode="replicate"), (3, 2, 4, 5)),
    "conv3d": (nn.Conv3d(2, 3, 2, stride=(1, 2, 1), padding=1), (3, 2, 3, 4, 3)),
    "convtranspose1d": (nn.ConvTranspose1d(2, 3, 3, stride=2, output_padding=1), (3, 2, 5)),
    "convtranspose2d": (nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1), (3, 2, 4, 3)),
    "convtranspose2d, groups": (nn.ConvTranspose2d(4, 6, (3, 2), groups=2, dilation=2), (3, 4, 3, 3)),
    "convtranspose3d": (nn.ConvTranspose3d(2, 2, 2), (2, 2, 2, 3, 2)),
    "linear": (nn.Linear(5, 4), (6, 5)),
    "linear without a batch": (nn.Linear(5, 4), (5,)),
    "linear with positions": (nn.Linear(5, 4), (3, 7, 5)),
    "linear with a grid of positions": (nn.Linear(3, 4, bias=False), (3, 2, 5, 3)),
    "a linear layer of transformers": (Conv1D(4, 5), (3, 7, 5)),
}
EVERY_LAYER = pytest.mark.parametrize(("layer", "shape"), LAYERS.values(), ids=LAYERS)


@EVERY_LAYER
def test_the_four_sums_of_every_weight_are_those_of_the_written_out_terms(layer, shape):
    layer, x = layer.double(), batch(*shape)
    rows = ns.probes.gradient_alignment(layer, x, None, loss=squares, weights=True)
    terms = written_out(layer, x)
    np.testing.assert_allclose(rows[SUMS], four(terms), rtol=1e-10, atol=1e-13)
    assert rows["weight"].tolist() == list(range(layer.weight.numel()))


@EVERY_LAYER
def test_a_layers_sums_are_the_means_over_its_weights(layer, shape):
    layer, x = layer.double(), batch(*shape)
    (row,) = ns.probes.gradient_alignment(layer, x, None, loss=squares).to_dict("records")
    terms = written_out(layer, x)
    np.testing.assert_allclose([row[name] for name in SUMS], four(terms).mean(0), rtol=1e-10)
    assert (row["weights"], row["examples"], row["positions"]) == terms.shape
    assert row["cancellation"] == pytest.approx(row["abs_terms"] / row["abs_gradient"])
    assert row["cancellation_in_space"] == pytest.approx(row["abs_terms"] / row["abs_by_example"])
    assert row["cancellation_in_batch"] == pytest.approx(row["abs_terms"] / row["abs_by_position"])
    assert (row["nonfinite"], row["note"]) == (0, "")


@EVERY_LAYER
def test_the_terms_of_any_weight_are_the_written_out_ones(layer, shape):
    layer, x = layer.double(), batch(*shape)
    terms = written_out(layer, x).detach().numpy()
    for place in (0, len(terms) // 2, len(terms) - 1):
        found = ns.probes.gradient_terms(layer, x, None, "", place, squares)
        np.testing.assert_allclose(found["term"], terms[place].reshape(-1), rtol=1e-10, atol=1e-13)
        assert found[["example", "position"]].to_numpy().tolist() == list(
            map(list, itertools.product(range(terms.shape[1]), range(terms.shape[2])))
        )
        index = tuple(np.unravel_index(place, layer.weight.shape))
        assert found.equals(ns.probes.gradient_terms(layer, x, None, "", index, squares))


@pytest.mark.parametrize(
    "name",
    [
        "conv1d",
        "conv2d, groups",
        "convtranspose2d, groups",
        "linear with positions",
        "a linear layer of transformers",
    ],
)
def test_a_weights_place_is_told_by_output_input_and_tap(name):
    """Where one input channel alone is not zero, only its weights have terms; likewise for an output's gradient."""
    layer, shape = LAYERS[name]
    layer, x = layer.double(), batch(*shape)
    dim = -1 if not hasattr(layer, "kernel_size") else -1 - len(layer.kernel_size)
    rows = ns.probes.gradient_alignment(layer, x, None, loss=squares, weights=True)
    for channel in range(x.shape[dim]):
        alone = torch.zeros_like(x)
        alone.select(dim, channel).copy_(x.select(dim, channel))
        found = ns.probes.gradient_alignment(layer, alone, None, loss=squares, weights=True)
        assert set(rows["input"][found["abs_terms"] > 0]) == {channel}
    outputs = layer(x).shape[dim]
    for channel in range(outputs):
        loss = lambda output, y, channel=channel: output.select(dim, channel).square().sum()  # noqa: E731
        found = ns.probes.gradient_alignment(layer, x, None, loss=loss, weights=True)
        assert set(rows["output"][found["abs_terms"] > 0]) == {channel}
    assert rows.groupby(["input", "output"])["tap"].apply(list).map(sorted).map(tuple).nunique() == 1


@pytest.mark.parametrize("fraction", [Fraction(1, 100), 40, 10**6])
@pytest.mark.parametrize(
    "name", ["conv2d", "conv2d, groups", "conv3d", "linear with positions", "conv2d, one example"]
)
def test_the_sums_do_not_depend_on_how_much_is_multiplied_at_once(monkeypatch, fraction, name):
    layer, shape = LAYERS[name]
    layer, x = layer.double(), batch(*shape)
    before = ns.probes.gradient_alignment(layer, x, None, loss=squares, weights=True)
    monkeypatch.setattr(sums, "_FRACTION", fraction)
    after = ns.probes.gradient_alignment(layer, x, None, loss=squares, weights=True)
    np.testing.assert_allclose(after[SUMS], before[SUMS], rtol=1e-12)


def test_terms_of_one_sign_have_four_equal_sums():
    layer, x = nn.Conv2d(2, 3, 3, padding=1).double(), batch(4, 2, 5, 5).abs()
    (row,) = ns.probes.gradient_alignment(layer, x, None, loss=lambda output, y: output.sum()).to_dict(
        "records"
    )
    np.testing.assert_allclose([row[name] for name in SUMS], row["abs_terms"], rtol=1e-12)
    for name in ("cancellation", "cancellation_in_space", "cancellation_in_batch"):
        assert row[name] == pytest.approx(1)


def test_the_loss_is_that_of_the_batch_through_batch_normalization():
    """Every image's loss reaches every image's output: the terms come from the whole batch's gradient."""
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 4)
    ).double()
    x, y = batch(6, 2, 5, 5), torch.tensor([0, 1, 2, 3, 0, 1])

    def rest(output, _):
        return F.cross_entropy(model[1:](output), y)

    rows = ns.probes.gradient_alignment(model, x, y, layers="0", weights=True)
    np.testing.assert_allclose(rows[SUMS], four(written_out(model[0], x, rest)), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_narrower_types_give_the_sums_of_float64_to_their_rounding(dtype):
    layer, x = nn.Conv2d(2, 3, 3, padding=1).to(dtype), batch(4, 2, 8, 8).to(dtype)
    (row,) = ns.probes.gradient_alignment(layer, x, None, loss=lambda out, y: out.sum() / 8).to_dict(
        "records"
    )
    wanted = four(written_out(layer.double(), x.double(), lambda out, y: out.sum() / 8)).mean(0)
    np.testing.assert_allclose([row[name] for name in SUMS], wanted, rtol=1e-6)


def test_values_that_are_not_finite_are_counted_and_flow_through():
    layer, x = nn.Conv2d(2, 3, 1).double(), batch(4, 2, 5, 5)
    x[0, 0, 0, 0], x[1, 0, 2, 2] = math.nan, math.inf
    loss = lambda output, y: output.sum()  # noqa: E731
    (row,) = ns.probes.gradient_alignment(layer, x, None, loss=loss).to_dict("records")
    assert row["nonfinite"] == 2
    assert all(math.isnan(row[name]) for name in SUMS)
    rows = ns.probes.gradient_alignment(layer, x, None, loss=loss, weights=True)
    assert rows.loc[rows["input"] == 0, SUMS].isna().all(axis=None)
    assert rows.loc[rows["input"] == 1, SUMS].notna().all(axis=None)


def test_without_any_term_the_sums_are_zero_and_the_ratios_no_numbers():
    layer, x = nn.Linear(3, 2), torch.zeros(4, 3)
    (row,) = ns.probes.gradient_alignment(layer, x, torch.tensor([0, 1, 0, 1])).to_dict("records")
    assert [row[name] for name in SUMS] == [0, 0, 0, 0]
    assert math.isnan(row["cancellation"])


def test_terms_that_cancel_altogether_have_an_infinite_ratio():
    layer, x = nn.Linear(1, 1, bias=False), torch.tensor([[1.0], [-1.0]])
    (row,) = ns.probes.gradient_alignment(layer, x, None, loss=lambda output, y: output.sum()).to_dict(
        "records"
    )
    assert (row["abs_terms"], row["abs_gradient"], row["cancellation"]) == (1, 0, math.inf)


def test_the_terms_of_several_weights_follow_one_another():
    layer, x = nn.Conv1d(2, 3, 3), batch(2, 2, 5).float()
    found = ns.probes.gradient_terms(layer, x, None, "", [7, (0, 1, 2)], squares)
    assert found["weight"].drop_duplicates().tolist() == [7, 5]
    for place, rows in found.groupby("weight"):
        alone = ns.probes.gradient_terms(layer, x, None, "", place, squares)
        assert rows.reset_index(drop=True).equals(alone)


@pytest.mark.parametrize("weight", [-1, 18, (5,), [0, 18], (0, 0), (0, 0, 3), (0, 0, 0, 0), 1.5, "first"])
def test_a_weight_that_the_layer_does_not_have_is_refused(weight):
    with pytest.raises(InputError, match=r"layer '0', whose shape is \(3, 2, 3\)"):
        ns.probes.gradient_terms(
            nn.Sequential(nn.Conv1d(2, 3, 3)), batch(2, 2, 5).float(), None, "0", weight, squares
        )


def test_other_modules_and_unknown_layers_are_refused():
    model, x, y = nn.Sequential(nn.Linear(3, 2), nn.ReLU()), torch.randn(4, 3), torch.tensor([0, 1, 0, 1])
    with pytest.raises(UnknownNameError, match="layer '7'"):
        ns.probes.gradient_alignment(model, x, y, layers=["7"])
    with pytest.raises(InputError, match="no convolution"):
        ns.probes.gradient_alignment(model, x, y, layers=["1"])
    with pytest.raises(InputError, match="no convolution"):
        ns.probes.gradient_terms(model, x, y, "1", 0)
