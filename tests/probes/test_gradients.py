"""The gradients of parameters and weights against what ``backward`` leaves, and the promise to leave no trace."""

import copy
import math
import random

import numpy as np
import pytest
import torch
from gradient_models import CONVOLUTIONS, NORMS, Twice, backward, batch, squares
from pandas.testing import assert_frame_equal
from scipy import stats
from torch import nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError, UnknownNameError
from normscope.probes.parameter_gradients import Statistics

ALL = [
    ns.probes.gradients,
    ns.probes.channel_gradients,
    ns.probes.bias_gradients,
    ns.probes.gradient_histogram,
]
EACH = pytest.mark.parametrize("read", ALL, ids=lambda read: read.__name__)


def small_network():
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Flatten(),
        nn.Linear(36, 3),
    )


@pytest.mark.parametrize(("layer", "shape"), [*CONVOLUTIONS, *NORMS], ids=str)
def test_each_parameters_row_has_the_statistics_of_what_backward_leaves(layer, shape):
    model, x = nn.Sequential(layer), batch(*shape)
    y = batch(*model(x).shape, seed=2)
    rows = ns.probes.gradients(model, x, y, loss=squares)
    parameters = dict(backward(model, x, y).named_parameters())
    assert [f"{row.layer}.{row.parameter}" for row in rows.itertuples()] == list(parameters)
    for row, parameter in zip(rows.itertuples(), parameters.values(), strict=True):
        g = parameter.grad.double().numpy().ravel()
        expected = [g.mean(), abs(g).mean(), g.std(), np.sqrt((g**2).mean()), abs(g).max()]
        found = [row.mean, row.mean_abs, row.std, row.rms, row.max_abs]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(row.kurtosis, stats.kurtosis(g, fisher=False), rtol=1e-4)
        assert (row.count, row.nonfinite, row.note) == (g.size, 0, "")
        inner = layer.layer if isinstance(layer, Twice) else layer
        assert row.kind == type(inner).__name__.lower()


@pytest.mark.parametrize("scale", [1e-120, 1e-30, 1.0, 1e100])
def test_the_kurtosis_is_that_of_the_distribution_whatever_the_scale(scale):
    """Of −1, 0, 0, 0, 0, 0, 0, 1: E[g⁴]/E[g²]² = 1/4 ÷ 1/16 = 4."""
    found = Statistics.of(scale * torch.tensor([-1.0, 0, 0, 0, 0, 0, 0, 1], dtype=torch.float64))
    assert found.kurtosis == pytest.approx(4)
    assert found.std == found.rms == pytest.approx(scale / 2)


def test_equal_gradients_have_no_spread_and_no_kurtosis():
    found = Statistics.of(torch.full((7,), 0.1))
    assert (found.std, found.mean) == (0, pytest.approx(0.1))
    assert math.isnan(found.kurtosis)


def test_the_default_loss_is_the_mean_cross_entropy():
    model, x, y = small_network().eval(), batch(5, 2, 5, 5), torch.tensor([0, 1, 2, 1, 0])
    rows = ns.probes.gradients(model, x, y)
    trained = backward(model, x, y, F.cross_entropy)
    expected = [parameter.grad.abs().mean().item() for parameter in trained.parameters()]
    np.testing.assert_allclose(rows["mean_abs"], expected, rtol=1e-6)


def test_a_named_module_stands_for_all_parameters_inside_it_in_the_order_of_the_names():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2)))
    rows = ns.probes.gradients(model, batch(3, 2), batch(3, 2), layers=["1", "0"], loss=squares)
    assert rows["layer"].tolist() == ["1.0", "1.0", "1.1", "1.1", "0", "0"]
    with pytest.raises(UnknownNameError, match="layer '2'"):
        ns.probes.gradients(model, batch(3, 2), batch(3, 2), layers=["2"], loss=squares)


def test_a_shared_parameter_has_one_row_with_the_sum_over_its_uses():
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    second.weight = first.weight
    model, x = nn.Sequential(first, second), batch(4, 2)
    rows = ns.probes.gradients(model, x, batch(4, 2, seed=2), loss=squares)
    expected = backward(model, x, batch(4, 2, seed=2))[0].weight.grad.abs().mean().item()
    assert rows[["layer", "parameter"]].to_numpy().tolist() == [["0", "weight"]]
    assert rows["mean_abs"].item() == pytest.approx(expected)


def test_parameters_outside_of_layers_and_in_plain_lists_are_measured():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))
            self.steps = [nn.Linear(2, 2, bias=False)]

        def forward(self, x):
            return self.scale * self.steps[0](x)

    rows = ns.probes.gradients(Model(), batch(3, 2), batch(3, 2, seed=2), loss=squares)
    names = [["", "scale", "model"], ["steps.0", "weight", "linear"]]
    assert rows[["layer", "parameter", "kind"]].to_numpy().tolist() == names
    assert (rows["mean_abs"] > 0).all()


def test_what_computes_a_parametrized_weight_is_the_layers():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3, bias=False))
    rows = ns.probes.gradients(nn.Sequential(layer), batch(3, 2), batch(3, 3), loss=squares)
    assert set(rows["layer"]) == {"0"}
    assert rows["parameter"].tolist() == [f"parametrizations.weight.original{n}" for n in (0, 1)]
    assert (rows["mean_abs"] > 0).all()


def test_frozen_and_unused_parameters_have_a_row_without_numbers_that_says_why():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.frozen, self.unused, self.used = (nn.Linear(2, 2, bias=False) for _ in range(3))
            self.frozen.requires_grad_(False)

        def forward(self, x):
            return self.used(self.frozen(x))

    notes = {
        "frozen": "frozen: its requires_grad is False",
        "unused": "the loss does not depend on it",
        "used": "",
    }
    for read in (ns.probes.gradients, ns.probes.channel_gradients, ns.probes.gradient_histogram):
        rows = read(Model(), batch(3, 2), batch(3, 2), loss=squares).drop_duplicates("layer")
        assert dict(zip(rows["layer"], rows["note"], strict=True)) == notes
    rows = ns.probes.bias_gradients(Model(), batch(3, 2), batch(3, 2), loss=squares).drop_duplicates("layer")
    assert [bool(note) for note in rows["note"]] == [True, True, False]
    assert set(rows["note"]) == {"no gradient reaches its output", ""}


@EACH
def test_a_model_without_a_gradient_has_notes_and_one_without_layers_has_no_rows(read):
    frozen = nn.Sequential(nn.Linear(2, 2)).requires_grad_(False)
    rows = read(frozen, batch(3, 2), batch(3, 2), loss=lambda output, y: squares(output, y))
    assert (rows["note"] != "").all()
    nothing = read(nn.Sequential(nn.Tanh()), batch(3, 2), batch(3, 2), loss=squares)
    assert (len(nothing), list(nothing.columns)) == (0, list(rows.columns))


def test_nan_in_one_example_is_counted_where_it_flows():
    model, x = nn.Sequential(nn.Linear(2, 3)), batch(4, 2)
    x[0, 1] = math.nan
    y = batch(4, 3)
    weight, bias = ns.probes.gradients(model, x, y, loss=squares).itertuples()
    assert (weight.nonfinite, bias.nonfinite) == (6, 3)
    assert math.isnan(weight.mean_abs)
    assert math.isnan(weight.max_abs)
    rows = ns.probes.gradient_histogram(model, x, y, loss=squares)
    assert (rows["nonfinite"].unique().tolist(), rows["count"].sum()) == ([6], 0)
    pairs = ns.probes.channel_gradients(model, x, y, loss=squares)
    assert (pairs["nonfinite"].tolist(), pairs["mean_abs"].isna().all()) == ([1] * 6, True)
    assert ns.probes.bias_gradients(model, x, y, loss=squares)["nonfinite"].tolist() == [1, 1, 1]


@EACH
def test_nothing_is_left_behind(read):
    model, x, y = small_network(), batch(6, 2, 5, 5), torch.tensor([0, 1, 2, 2, 1, 0])
    model[5].eval()
    F.cross_entropy(model(x), y).backward()
    state = copy.deepcopy(model.state_dict())
    kept = [parameter.grad.clone() for parameter in model.parameters()]
    modes = [module.training for module in model.modules()]
    states = torch.get_rng_state(), random.getstate()
    read(model, x, y)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), kept, strict=True))
    assert [module.training for module in model.modules()] == modes
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in model.modules())
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]


@EACH
def test_a_batch_is_measured_in_the_mode_that_the_model_is_in(read):
    model, x, y = small_network(), batch(6, 2, 5, 5), torch.tensor([0, 1, 2, 2, 1, 0])
    training, evaluating = read(model, x, y), read(model.eval(), x, y)
    assert not training.equals(evaluating)
    assert_frame_equal(evaluating, read(model, x, y))


@EACH
def test_a_compiled_model_is_measured_as_the_plain_one_and_compiles_nothing(read):
    graphs = []
    model, x, y = small_network().eval(), batch(6, 2, 5, 5), torch.tensor([0, 1, 2, 2, 1, 0])
    compiled = torch.compile(model, backend=lambda graph, example: graphs.append(graph) or graph.forward)
    assert_frame_equal(read(compiled, x, y), read(model, x, y))
    assert not graphs
    torch.compiler.reset()


@EACH
@pytest.mark.parametrize("form", ["tuple", "mapping"])
def test_inputs_and_outputs_of_any_form_are_taken(read, form):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, left, right):
            return {"sum": self.layer(left) + self.layer(right)}

    left, right, y = batch(3, 2), batch(3, 2, seed=2), batch(3, 2, seed=3)
    x = (left, right) if form == "tuple" else {"left": left, "right": right}
    rows = read(Model(), x, y, loss=lambda output, y: squares(output["sum"], y))
    assert len(rows)
    assert (rows["note"] == "").all()


@EACH
def test_a_loss_of_many_numbers_and_a_backward_pass_that_fails_are_refused_in_a_sentence(read):
    model, x = nn.Sequential(nn.Linear(2, 2)), batch(3, 2)
    with pytest.raises(InputError, match="must be a tensor of one number"):
        read(model, x, x, loss=lambda output, y: output - y)

    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            raise RuntimeError("no way back")

    with pytest.raises(InputError, match="the gradient of the loss cannot be computed: no way back"):
        read(model, x, x, loss=lambda output, y: squares(Broken.apply(output), y))


@EACH
def test_layers_of_any_type_of_numbers_are_summed_in_float64(read):
    model, x, y = nn.Sequential(nn.Linear(64, 3)), batch(500, 64), batch(500, 3, seed=2)
    half = copy.deepcopy(model).bfloat16()
    rows = read(half, x.bfloat16(), y.bfloat16(), loss=squares)
    column = {"gradients": "mean_abs", "channel_gradients": "mean_abs", "bias_gradients": "gradient"}
    assert rows[column.get(read.__name__, "high")].dtype == np.float64
    wanted = read(model, x, y, loss=squares)
    assert rows.columns.equals(wanted.columns)
    if read is ns.probes.gradients:
        np.testing.assert_allclose(rows["rms"], wanted["rms"], rtol=0.02)
