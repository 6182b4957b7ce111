"""The spectrum table against patches gathered by hand, and the promise to leave no trace."""

from __future__ import annotations

import copy
import math
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError

COLUMNS = [
    "layer",
    "kind",
    "dim",
    "positions",
    "lambda_min",
    "lambda_max",
    "condition",
    "power",
    "lr_bound",
]  # the contract's


class Noisy(nn.Module):
    """Draws from every generator there is, counts in a buffer it rebinds, and may fail."""

    def __init__(self, fail=False):
        super().__init__()
        self.register_buffer("count", torch.zeros(()))
        self.generator = torch.Generator().manual_seed(3)
        self.fail = fail

    def forward(self, x):
        self.count = self.count + 1
        self.training = not self.training
        noise = torch.randn(x.shape, generator=self.generator) + torch.rand(()) + random.random()
        noise = noise + np.random.rand()  # noqa: NPY002
        if self.fail:
            raise RuntimeError("as asked")
        return x + noise * 1e-3


def network(fail=False):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        Noisy(fail),
        nn.Conv2d(6, 4, 3, stride=2, groups=2, padding_mode="circular", padding=1),
        nn.Flatten(),
        nn.Linear(4 * 16, 5),
    )


def batch(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def truth(patches):
    """Eigenvalues of E[p pᵀ] for patches (N, K), through the singular values of the patches themselves."""
    p = patches.double()
    values = torch.linalg.svdvals(p).square() / len(p)
    return values, float(p.square().mean())


def test_reads_each_layer_from_the_patches_it_sees():
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.Tanh(), nn.Conv2d(6, 4, 3, stride=2), nn.Flatten(), nn.Linear(36, 5)
    )
    x = batch(32, 2, 8, 8)
    rows = ns.probes.spectrum(model, x)
    assert list(rows.columns[:9]) == COLUMNS
    assert list(rows.layer) == ["0", "2", "4"]
    assert list(rows.kind) == ["conv2d", "conv2d", "linear"]
    with torch.no_grad():
        hidden = model[1](model[0](x))
        last = model[3](model[2](hidden))
    seen = [
        (F.unfold(x, 3, padding=1).mT.reshape(-1, 18), 64),
        (F.unfold(hidden, 3, stride=2).mT.reshape(-1, 54), 9),
        (last, 1),
    ]
    for row, (patches, positions) in zip(rows.itertuples(), seen, strict=True):
        values, power = truth(patches)
        assert (row.dim, row.positions) == (patches.shape[1], positions)
        assert row.lambda_max == pytest.approx(float(values[0]), rel=1e-9)
        assert row.power == pytest.approx(power, rel=1e-9)
        assert row.lr_bound == pytest.approx(2 / (positions * float(values[0])), rel=1e-9)
        if len(patches) >= patches.shape[1]:
            assert row.lambda_min == pytest.approx(float(values[-1]), rel=1e-6)
            assert row.condition == pytest.approx(float(values[0] / values[-1]), rel=1e-6)
        else:  # fewer patches than entries: some eigenvalues are exactly zero
            assert row.lambda_min == 0
            assert row.condition == math.inf


def test_has_one_row_a_group():
    model = nn.Conv1d(6, 6, 3, groups=3)
    x = batch(8, 6, 20)
    rows = ns.probes.spectrum(model, x, groups=True)
    assert list(rows.group) == [0, 1, 2]
    for g, row in enumerate(rows.itertuples()):
        patches = x[:, 2 * g : 2 * g + 2].unfold(2, 3, 1).permute(0, 2, 1, 3).reshape(-1, 6)
        assert row.lambda_max == pytest.approx(float(truth(patches)[0][0]), rel=1e-9)
        assert row.dim == 6


def test_groups_are_summarised_by_their_extremes_and_their_mean_power():
    model, x = nn.Conv1d(6, 6, 3, groups=3), batch(8, 6, 20) * torch.tensor([1, 2, 3, 4, 5, 6])[:, None]
    each = ns.probes.spectrum(model, x, groups=True)
    (row,) = ns.probes.spectrum(model, x).to_dict("records")
    assert (row["groups"], row["samples"], row["positions"], row["dim"]) == (3, 8 * 18, 18, 6)
    assert (row["lambda_min"], row["lambda_max"]) == (each.lambda_min.min(), each.lambda_max.max())
    assert (row["condition"], row["lr_bound"]) == (each.condition.max(), each.lr_bound.min())
    assert row["power"] == pytest.approx(float(truth(x.double().unfold(2, 3, 1))[1]), rel=1e-9)


def test_a_note_of_some_groups_says_how_many():
    x = batch(8, 6, 20)
    x[:, 2:4] = 0
    row = ns.probes.spectrum(nn.Conv1d(6, 6, 3, groups=3), x).iloc[0]
    assert row.note == "1 of 3 groups: the input is zero throughout"
    assert (row.lambda_min, row.condition) == (0, math.inf)
    x[0, 0, 0] = math.nan
    row = ns.probes.spectrum(nn.Conv1d(6, 6, 3, groups=3), x).iloc[0]
    assert row.note.startswith("2 of 3 groups (groups=True shows the notes of all): the input holds values")
    assert math.isnan(row.lambda_max)


@pytest.mark.parametrize("extremes", [False, True])
def test_a_zero_eigenvalue_of_too_few_patches_is_told_from_one_of_the_input(extremes):
    """32 patches span at most 32 of 75 dimensions; 75 patches may span them all."""
    layer, x = nn.Conv2d(3, 4, 5), batch(32, 3, 5, 5)
    few = ns.probes.spectrum(layer, x, extremes=extremes).iloc[0]
    assert (few.samples, few.lambda_min, few.condition) == (32, 0, math.inf)
    assert (
        few.note
        == "32 patches span at most 32 of 75 dimensions: λ_min is 0 whatever the data; give a larger batch"
    )
    enough = ns.probes.spectrum(layer, batch(200, 3, 5, 5), extremes=extremes).iloc[0]
    assert (enough.samples, enough.note) == (200, "")
    assert enough.lambda_min > 0
    x = batch(200, 3, 5, 5)
    x[:, 1] = x[:, 0]
    doubled = ns.probes.spectrum(layer, x, extremes=extremes).iloc[0]
    assert (doubled.lambda_min, doubled.condition) == (0, math.inf)
    assert doubled.note == "λ_min is 0 to rounding: in at least one direction, the input has no power"


def test_samples_are_the_patches_of_all_calls_and_batches():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Conv1d(2, 2, 3, padding=1)

        def forward(self, x):
            return self.layer(self.layer(x))

    found = ns.probes.accumulate(Twice(), [batch(5, 2, 7), batch(3, 2, 7)]).iloc[0]
    assert (found.samples, found.positions) == (2 * 8 * 7, 14)


LOSSES = {
    "half the squared error": (lambda y, t: (y - t).square().sum() / (2 * len(y)), lambda m, c: 1),
    "the squared error": (lambda y, t: (y - t).square().sum() / len(y), lambda m, c: 1 / 2),
    "mse_loss": (F.mse_loss, lambda m, c: m * c / 2),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("layer", "shape"), [(nn.Conv1d(2, 3, 2, bias=False), (6, 2, 5)), (nn.Linear(4, 1, bias=False), (9, 4))]
)
def test_the_bound_is_twice_the_inverse_of_the_losss_largest_curvature(layer, shape, loss):
    """Gradient descent on a quadratic diverges above 2/λ_max of its Hessian."""
    measure, factor = LOSSES[loss]
    layer, x = layer.double(), batch(*shape).double()
    with torch.no_grad():
        target = torch.randn_like(layer(x))

    def of_weight(weight):
        return measure(torch.func.functional_call(layer, {"weight": weight}, (x,)), target)

    size = layer.weight.numel()
    hessian = torch.autograd.functional.hessian(of_weight, layer.weight.detach()).reshape(size, size)
    row = ns.probes.spectrum(layer, x).iloc[0]
    outputs = layer.weight.shape[0]
    found = row.lr_bound * factor(row.positions, outputs)
    assert found == pytest.approx(2 / float(torch.linalg.eigvalsh(hessian)[-1]), rel=1e-9)


def test_layers_come_in_the_order_in_which_they_first_ran_and_the_rest_last():
    class Crossed(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused, self.last, self.first = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.first(self.last(self.first(x)))

    x = batch(20, 4)
    for read in (ns.probes.spectrum, ns.probes.moments):
        assert list(dict.fromkeys(read(Crossed(), x).layer)) == ["first", "last", "unused"]
        assert list(dict.fromkeys(read(Crossed(), x, layers=["last", "first"]).layer)) == ["last", "first"]


def test_flattens_the_extra_dimensions_of_a_linear_layer_into_positions():
    x = batch(4, 3, 5, 6)
    row = ns.probes.spectrum(nn.Linear(6, 2), x).iloc[0]
    assert row.positions == 15
    assert row.lambda_max == pytest.approx(float(truth(x.reshape(-1, 6))[0][0]), rel=1e-9)


def test_reads_an_image_without_a_batch_dimension():
    x = batch(3, 8, 8)
    row = ns.probes.spectrum(nn.Conv2d(3, 2, 3), x).iloc[0]
    assert row.lambda_max == pytest.approx(float(truth(F.unfold(x[None], 3)[0].T)[0][0]), rel=1e-9)


def test_a_layer_that_runs_twice_counts_both_calls():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(torch.tanh(self.layer(x)))

    model, x = Twice(), batch(16, 4)
    row = ns.probes.spectrum(model, x).iloc[0]
    both = torch.cat([x, torch.tanh(model.layer(x)).detach()])
    assert row.positions == 2
    assert row.lambda_max == pytest.approx(float(truth(both)[0][0]), rel=1e-6)


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("fail", [False, True])
def test_leaves_model_and_generators_as_they_were_also_when_the_pass_fails(mode, fail):
    model = network(fail).train(mode)
    before = copy.deepcopy(model.state_dict())
    buffers = dict(model.named_buffers())
    own = model[3].generator.get_state()
    state = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    if fail:
        with pytest.raises(InputError, match="as asked") as raised:
            ns.probes.spectrum(model, batch(4, 2, 8, 8))
        assert isinstance(raised.value.__cause__, RuntimeError)
    else:
        ns.probes.spectrum(model, batch(4, 2, 8, 8))
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(value is buffers[name] for name, value in model.named_buffers())
    assert all(module.training == mode for module in model.modules())
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(own, model[3].generator.get_state())
    assert torch.equal(state[0], torch.get_rng_state())
    assert state[1] == random.getstate()
    assert all(np.array_equal(a, b) for a, b in zip(state[2], np.random.get_state(), strict=True))  # noqa: NPY002


def test_runs_the_model_in_the_mode_it_is_in():
    model = nn.Sequential(nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1))
    x = batch(8, 2, 6, 6) * 3
    assert ns.probes.spectrum(model.train(), x).power[0] == pytest.approx(1, rel=1e-4)
    assert ns.probes.spectrum(model.eval(), x).power[0] == pytest.approx(float(x.square().mean()), rel=1e-4)


def test_computes_in_float64_whatever_the_models_type():
    values = torch.tensor([[1.0, 1e-5], [1.0, -1e-5]])  # R = diag(1, 1e-10), below float32's rounding
    row = ns.probes.spectrum(nn.Linear(2, 1), values).iloc[0]
    assert row.lambda_min == pytest.approx(1e-10, rel=1e-5)
    row = ns.probes.spectrum(nn.Linear(2, 1).bfloat16(), torch.eye(2).bfloat16()).iloc[0]
    assert (row.lambda_min, row.lambda_max) == (0.5, 0.5)


def test_a_smallest_eigenvalue_below_rounding_is_zero():
    direction = batch(50, 1).double()
    row = ns.probes.spectrum(nn.Linear(4, 1).double(), direction @ batch(1, 4, seed=2).double()).iloc[0]
    assert row.lambda_min == 0
    assert row.condition == math.inf


def test_a_dead_or_constant_input_is_reported():
    model = nn.Conv2d(2, 2, 3)
    dead = ns.probes.spectrum(model, torch.zeros(2, 2, 6, 6)).iloc[0]
    assert (dead.lambda_min, dead.lambda_max, dead.power) == (0, 0, 0)
    assert dead.condition == dead.lr_bound == math.inf
    assert "zero" in dead.note
    constant = ns.probes.spectrum(model, torch.full((2, 2, 6, 6), 3.0)).iloc[0]
    assert constant.lambda_max == pytest.approx(9 * 18)  # R = 9·11ᵀ
    assert (constant.lambda_min, constant.condition) == (0, math.inf)
    assert constant.power == pytest.approx(9)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_reported_not_raised(value):
    x = batch(4, 2, 8, 8)
    x[0, 0, 3, 3] = value
    rows = ns.probes.spectrum(network(), x)
    assert math.isnan(rows.lambda_max[0])
    assert "finite" in rows.note[0]


def test_measures_only_the_layers_named():
    assert list(ns.probes.spectrum(network(), batch(4, 2, 8, 8), layers=["6", "0"]).layer) == ["6", "0"]


def test_a_layer_that_did_not_run_is_reported():
    model = nn.Linear(3, 2)
    model.unused = nn.Linear(3, 2)
    rows = ns.probes.spectrum(model, batch(4, 3))
    assert list(rows.layer) == ["", "unused"]
    assert "did not run" in rows.note[1]


@pytest.mark.parametrize("extremes", [False, True])
def test_an_empty_batch_is_reported_and_adds_nothing(extremes):
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(48, 2))
    rows = ns.probes.spectrum(model, batch(0, 2, 6, 6), extremes=extremes)
    assert list(rows.note) == ["the batch is empty"] * 2
    assert rows.lambda_max.isna().all()
    x = batch(60, 2, 6, 6)
    parts = ns.probes.accumulate(model, [x[:0], x], extremes=extremes)
    assert parts.equals(ns.probes.spectrum(model, x, extremes=extremes))


def test_spectrum_of_reads_a_matrix_with_known_eigenvalues():
    q = torch.linalg.qr(batch(5, 5).double()).Q
    values = torch.tensor([0.5, 1.0, 2.0, 3.0, 8.0], dtype=torch.float64)
    found = ns.probes.spectrum_of((q * values) @ q.T, positions=10)
    assert found.lambda_min == pytest.approx(0.5, rel=1e-12)
    assert found.lambda_max == pytest.approx(8, rel=1e-12)
    assert found.condition == pytest.approx(16, rel=1e-12)
    assert found.power == pytest.approx(14.5 / 5, rel=1e-12)
    assert found.lr_bound == pytest.approx(2 / 80, rel=1e-12)
    assert (found.dim, found.positions, found.note) == (5, 10, "")


@pytest.mark.parametrize(
    "layer",
    [
        nn.ConvTranspose1d(2, 3, 3, stride=2, padding=2, output_padding=1, dilation=2),
        nn.ConvTranspose2d(2, 1, (3, 2), stride=(2, 1), padding=(3, 0), dilation=(1, 2)),
        nn.ConvTranspose3d(1, 2, 2, stride=2, padding=1),
    ],
)
def test_a_transposed_convolutions_patches_are_what_its_output_is_made_of(layer):
    """Its output is linear in the weight: the Jacobian's rows are the patches."""
    layer = layer.double()
    x = batch(3, layer.in_channels, *(5, 6, 4)[: len(layer.kernel_size)]).double()
    first = layer.weight[:, :1]

    def output(weight):
        other = torch.zeros_like(layer.weight)
        other[:, :1] = weight
        return torch.func.functional_call(layer, {"weight": other, "bias": layer.bias * 0}, (x,))[:, 0]

    jacobian = torch.autograd.functional.jacobian(output, first.detach()).flatten(-first.ndim)
    positions = math.prod(jacobian.shape[1:-1])
    values = torch.linalg.svdvals(jacobian.flatten(0, -2)).square() / (3 * positions)
    row = ns.probes.spectrum(layer, x).iloc[0]
    assert row.positions == positions
    assert row.lambda_max == pytest.approx(float(values[0]), rel=1e-9)
    assert row.power == pytest.approx(float(values.sum() / len(values)), rel=1e-9)


@pytest.mark.parametrize("extremes", [False, True])
def test_accumulating_batches_equals_one_large_batch(extremes):
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.Flatten(), nn.LazyLinear(3)
    )
    x = batch(30, 2, 7, 7)
    model(x)
    parts = ns.probes.accumulate(model, [x[:8], x[8:]], extremes=extremes)
    whole = ns.probes.spectrum(model, x, extremes=extremes)
    for column in ("dim", "positions", "lambda_max", "power", "lr_bound"):
        assert parts[column].to_numpy() == pytest.approx(whole[column].to_numpy(), rel=1e-8)


def test_spectrum_of_takes_what_rounding_cannot_tell_from_zero_as_zero():
    for small, found in ((1e-17, 0), (1e-10, 1e-10)):
        matrix = torch.diag(torch.tensor([1, small], dtype=torch.float64))
        assert ns.probes.spectrum_of(matrix).lambda_min == pytest.approx(found, rel=1e-12, abs=0)
    assert ns.probes.spectrum_of(torch.diag(torch.tensor([1.0, 1e-10]))).condition == math.inf


def test_spectrum_of_too_few_samples_has_a_smallest_eigenvalue_of_zero():
    found = ns.probes.spectrum_of(torch.eye(3), samples=2)
    assert (found.lambda_min, found.condition, found.samples) == (0, math.inf, 2)
    assert found.note.startswith("2 patches span at most 2 of 3 dimensions")
    assert ns.probes.spectrum_of(torch.eye(3)).samples is None


def test_accumulate_takes_a_loaders_pairs_and_equals_the_whole_batch():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(48, 2)).double()
    x, y = torch.randn(12, 2, 6, 6, dtype=torch.float64), torch.zeros(12)
    whole = ns.probes.spectrum(model, x)
    for batches in ([(x[:4], y[:4]), (x[4:], y[4:])], [[x[:7], y[:7]], [x[7:], y[7:]]], [x[:6], x[6:]]):
        found = ns.probes.accumulate(model, batches)
        assert found["lambda_max"].tolist() == pytest.approx(whole["lambda_max"].tolist(), rel=1e-12)


def test_a_single_example_of_a_linear_layer_has_one_position():
    assert ns.probes.spectrum(nn.Linear(3, 2), torch.randn(3))["positions"].tolist() == [1]


@pytest.mark.parametrize("seed", range(10))
def test_features_that_sum_to_zero_in_single_precision_have_a_direction_without_power(seed):
    torch.manual_seed(seed)
    model, x = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 3)), torch.randn(50, 7, 16)
    (row,) = ns.probes.spectrum(model, x).to_dict("records")
    assert row["lambda_min"] == 0
    assert "the input has no power" in row["note"]
