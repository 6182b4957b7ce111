"""The landscape against closed forms and plain copies of the model, and the promise to leave no trace."""

import copy
import math
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError, UnknownNameError


def seeded(make, seed=0):
    torch.manual_seed(seed)
    return make()


def batch(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small():
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(48, 4)
    )


X, Y = batch(6, 2, 6, 6), torch.arange(6) % 4


def half_square(output, y):
    return 0.5 * (output - y).square().sum()


def moved_loss(model, direction, step, x=X, y=Y):
    """The loss of a copy whose parameters have moved, in float64."""
    model = copy.deepcopy(model).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in direction:
                parameter += step * direction[name].double()
    return F.cross_entropy(model(x.double()), y).item()


def test_along_the_gradient_of_a_quadratic_loss_the_values_are_the_parabola():
    """Of ½‖Wx − y‖² with one x: L(t) = ½‖r‖² (1 − t‖x‖²)²."""
    model, x, y = nn.Linear(3, 2, bias=False).double(), batch(1, 3).double(), batch(1, 2, seed=2).double()
    steps = [0.0, 0.01, 0.5, -1.0, 3.0]
    table = ns.probes.landscape(model, x, y, "gradient", steps, loss=half_square)
    assert list(table.columns) == ["step", "distance", "loss"]
    assert table["step"].tolist() == steps
    residual = (model(x) - y).detach()
    power = x.square().sum().item()
    slope = residual.norm().item() * math.sqrt(power)
    shrunk = (1 - np.array(steps) * power) ** 2
    np.testing.assert_allclose(table["loss"], 0.5 * residual.square().sum().item() * shrunk, rtol=1e-12)
    np.testing.assert_allclose(table["distance"], np.abs(steps) * slope, rtol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_each_point_is_the_loss_of_a_copy_whose_parameters_have_moved(training):
    model = seeded(small).train(training)
    model[3].p = 0.0
    direction = {"0.weight": batch(3, 2, 3, 3, seed=3), "5.bias": batch(4, seed=4)}
    table = ns.probes.landscape(model, X, Y, direction, [0.0, 0.3, -2.0], dtype=torch.float64)
    expected = [moved_loss(model, direction, step) for step in (0.0, 0.3, -2.0)]
    np.testing.assert_allclose(table["loss"], expected, rtol=1e-12)
    length = math.sqrt(sum(move.double().square().sum().item() for move in direction.values()))
    np.testing.assert_allclose(table["distance"], [0.0, 0.3 * length, 2.0 * length], rtol=1e-12)


def test_the_gradient_is_that_of_the_batchs_loss_in_the_wanted_type():
    model = seeded(small)
    model[3].p = 0.0
    twin = copy.deepcopy(model).double()
    F.cross_entropy(twin(X.double()), Y).backward()
    downhill = {name: -parameter.grad for name, parameter in twin.named_parameters()}
    table = ns.probes.landscape(model, X, Y, "gradient", [0.01, 1.0], dtype=torch.float64)
    expected = [moved_loss(model, downhill, step) for step in (0.01, 1.0)]
    np.testing.assert_allclose(table["loss"], expected, rtol=1e-12)


def test_every_point_sees_the_same_buffers_and_the_same_random_numbers():
    model = seeded(small).train()
    table = ns.probes.landscape(model, X, Y, "gradient", [0.5, 0.0, 0.5, 0.0])
    assert table["loss"][0] == table["loss"][2] != table["loss"][1] == table["loss"][3]


def test_a_loss_that_is_flat_in_float64_does_not_fall():
    """The loss does not depend on the scale of weights before a norm without ε; rounding of float32 moves it."""

    class Standardize(nn.Module):
        def forward(self, x):
            return (x - x.mean(0)) / x.std(0)

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 30, bias=False), Standardize(), nn.Linear(30, 4))
    x, y = batch(50, 20), batch(50, 4, seed=2)
    scale = {"0.weight": model[0].weight.detach()}
    steps = [0.0, *np.linspace(0.001, 1, 30)]

    def spread(dtype):
        return np.ptp(ns.probes.landscape(model, x, y, scale, steps, dtype=dtype, loss=half_square)["loss"])

    assert spread(torch.float64) < 1e-10 < 1e-6 < spread(None)


def test_losses_that_are_not_finite_are_rows():
    """The loss is the logarithm of a weight: −∞ at 0, and not a number below."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    move = {"weight": -torch.ones(1, 1)}
    table = ns.probes.landscape(model, torch.ones(1, 1), None, move, [0, 1, 2], loss=lambda out, _: out.log())
    assert table["loss"].tolist() == [0.0, -math.inf, pytest.approx(math.nan, nan_ok=True)]


def test_along_a_direction_that_is_not_finite_the_loss_is_not_and_the_origin_is_as_it_is():
    model = nn.Linear(2, 4)
    move = {"weight": torch.full((4, 2), math.inf)}
    table = ns.probes.landscape(model, batch(3, 2), Y[:3], move, [0.0, 1.0])
    assert table["loss"].isna().tolist() == [False, True]
    assert table["distance"].tolist() == [0.0, math.inf]


def test_moments_are_those_of_a_model_at_the_point_averaged_by_layer():
    model = seeded(small)
    model[3].p = 0.0
    direction = {"0.weight": batch(3, 2, 3, 3, seed=3)}
    table = ns.probes.landscape(model, X, Y, direction, [0.0, 2.0], moments=["1", "0"], dtype=torch.float64)
    assert list(table.columns) == [
        "step",
        "distance",
        "loss",
        "layer",
        "mean",
        "variance",
        "nonfinite",
        "note",
    ]
    assert table["layer"].tolist() == ["1", "0", "1", "0"]
    assert table["step"].tolist() == [0.0, 0.0, 2.0, 2.0]
    twin = copy.deepcopy(model).double()
    with torch.no_grad():
        twin[0].weight += 2.0 * direction["0.weight"]
        output = twin[0](X.double())
    mean, variance = output.mean((0, 2, 3)).abs().mean(), output.var((0, 2, 3), correction=0).mean()
    assert table["mean"][3] == pytest.approx(mean.item(), rel=1e-12)
    assert table["variance"][3] == pytest.approx(variance.item(), rel=1e-12)
    losses = ns.probes.landscape(model, X, Y, direction, [0.0, 2.0], dtype=torch.float64)["loss"]
    np.testing.assert_allclose(table["loss"][::2], losses, rtol=1e-12)


def test_moments_of_all_layers_and_of_layers_without_numbers():
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(2, 4), nn.Linear(2, 4)

        def forward(self, x):
            return self.used(x)

    table = ns.probes.landscape(Unused(), batch(4, 2), Y[:4], "gradient", [0.0], moments="all")
    assert table["layer"].tolist() == ["used", "unused"]
    assert table["note"].tolist() == ["", "the layer did not run"]
    assert table["mean"].isna().tolist() == [False, True]


def test_a_channel_that_is_not_finite_shows_in_its_layer():
    model = nn.Sequential(nn.Linear(1, 2, bias=False), nn.Linear(2, 2))
    x = torch.full((3, 1), 1e30)
    move = {"0.weight": torch.tensor([[1e20], [0.0]])}
    table = ns.probes.landscape(model, x, torch.zeros(3, 2), move, [1.0], loss=half_square, moments="0")
    assert table["mean"][0] == math.inf
    assert table["nonfinite"][0] == 3


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.table = nn.Embedding(5, 4)

    def forward(self, *, tokens, weights):
        return (self.table(tokens) * weights[..., None]).sum(1) * self.scale


def test_inputs_may_be_mappings_and_tuples_with_whole_numbers_among_them():
    model = seeded(Named)
    x = {"tokens": torch.tensor([[0, 1], [2, 3]]), "weights": batch(2, 2)}
    table = ns.probes.landscape(model, x, Y[:2], {"scale": torch.ones(())}, [0.0, 1.0], dtype=torch.float64)
    logits = copy.deepcopy(model)(**x).detach().double()
    expected = [F.cross_entropy(logits * factor, Y[:2]).item() for factor in (1, 2)]
    np.testing.assert_allclose(table["loss"], expected, rtol=1e-6)

    class Pair(nn.Bilinear):
        def forward(self, left, right):
            return super().forward(left, right)

    pair = seeded(lambda: Pair(2, 2, 4))
    found = ns.probes.landscape(pair, (batch(3, 2), batch(3, 2, seed=2)), Y[:3], "gradient", [0.0, 0.01])
    assert found["loss"][1] < found["loss"][0]


def test_a_parameter_that_the_loss_does_not_reach_stays():
    model = nn.ModuleList([nn.Linear(2, 4), nn.Linear(2, 4)])
    model.forward = model[0].forward
    table = ns.probes.landscape(model, batch(3, 2), Y[:3], "gradient", [0.0, 0.1])
    assert table["loss"][1] < table["loss"][0]


def test_a_wrapped_models_parameters_have_their_plain_names():
    model = seeded(lambda: nn.Linear(2, 4))
    move = {"weight": torch.ones(4, 2)}
    plain, same = (
        ns.probes.landscape(one, batch(3, 2), Y[:3], move, [0.0, 1.0])
        for one in (model, nn.DataParallel(model, device_ids=[]))
    )
    assert same["loss"].tolist() == plain["loss"].tolist()


@pytest.mark.parametrize("dtype", [None, torch.float64])
@pytest.mark.parametrize("moments", [None, "all"])
@pytest.mark.parametrize("training", [True, False])
def test_the_model_its_gradients_and_every_generator_are_left_as_they_were(dtype, moments, training):
    model = seeded(small).train(training)
    F.cross_entropy(model(X), Y).backward()
    held = F.cross_entropy(model(X), Y)
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    before = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    torch.manual_seed(0), random.seed(0), np.random.seed(0)  # noqa: NPY002
    drawn = torch.rand(3).tolist(), random.random(), np.random.rand()  # noqa: NPY002
    torch.manual_seed(0), random.seed(0), np.random.seed(0)  # noqa: NPY002
    ns.probes.landscape(model, X, Y, "gradient", [0.1, 1.0], moments=moments, dtype=dtype)
    assert (torch.rand(3).tolist(), random.random(), np.random.rand()) == drawn  # noqa: NPY002
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        assert tensor is tensors[name]
        assert torch.equal(tensor, before[name])
        assert tensor.dtype == before[name].dtype
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter.grad, gradients[name])
    assert all(module.training is training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())
    held.backward()  # A graph from before still holds its values.


def test_the_model_is_left_as_it_was_when_a_point_fails():
    model = seeded(small)
    before = copy.deepcopy(model.state_dict())

    def fail_at_the_second(output, y, calls=[]):  # noqa: B006
        calls.append(1)
        if len(calls) == 3:
            raise ValueError("as asked")
        return F.cross_entropy(output, y)

    with pytest.raises(InputError, match="as asked"):
        ns.probes.landscape(model, X, Y, "gradient", [0.1, 1.0], loss=fail_at_the_second, dtype=torch.float64)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_wrong_arguments_are_refused_in_one_sentence():
    model = small().eval()

    def refused(error, words, direction="gradient", steps=(0.0,), **options):
        with pytest.raises(error, match=words):
            ns.probes.landscape(model, X, Y, direction, steps, **options)

    refused(InputError, "one or more finite numbers", steps=[])
    refused(InputError, "one or more finite numbers", steps=[math.inf])
    refused(InputError, "one or more finite numbers", steps=["a"])
    refused(UnknownNameError, "direction 'gradients'", "gradients")
    refused(InputError, "not a list", [1.0])
    refused(UnknownNameError, r"parameter '0\.weights'", {"0.weights": torch.ones(1)})
    refused(InputError, r"must be a tensor of its shape, \(3,\)", {"0.bias": torch.ones(1)})
    refused(InputError, r"not torch\.int64", dtype=torch.int64)
    refused(UnknownNameError, "layer '9'", moments=["9"])
    refused(InputError, "no single number|one number", loss=lambda output, y: output)
    model.requires_grad_(False)
    refused(InputError, "no parameter that requires a gradient")
    with pytest.raises(InputError, match=r"model must be a torch\.nn\.Module"):
        ns.probes.landscape(None, X, Y)
