"""Gradient noise against closed forms, a plain loop and brute force over all batches, and what it refuses."""

import copy
import itertools
import math
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import normscope as ns
from normscope.errors import InputError
from normscope.probes import _gradient_noise


def seeded(make, seed=0):
    torch.manual_seed(seed)
    return make()


def batch(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(norm=nn.Identity):
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), norm(), nn.ReLU(), nn.Flatten(), nn.Linear(48, 5), nn.ReLU(), nn.Linear(5, 4)
    )


X, Y = batch(10, 2, 6, 6), torch.arange(10) % 4


def gradients_of(model, x=X, y=Y):
    """The gradient of each example, by plain calls of backward on a copy."""
    rows = []
    for place in range(len(y)):
        twin = copy.deepcopy(model)
        F.cross_entropy(twin(x[place : place + 1]), y[place : place + 1]).backward()
        rows.append(torch.cat([parameter.grad.flatten() for parameter in twin.parameters()]).double())
    return torch.stack(rows)


def spread_of(gradients):
    """M of eq. 2."""
    return (gradients - gradients.mean(0)).square().sum(1).mean().item()


def test_the_law_has_the_spread_of_the_examples_own_gradients():
    model = seeded(small)
    table = ns.probes.gradient_noise(model, X, Y, [1, 5, 40], rates=[0.1, 2.0], draws=10)
    assert list(table.columns) == ["rate", "batch_size", "noise", "standard_error", "law"]
    assert table[["rate", "batch_size"]].to_numpy().tolist() == [
        [rate, size] for rate in (0.1, 2.0) for size in (1, 5, 40)
    ]
    spread = spread_of(gradients_of(model))
    expected = table["rate"] ** 2 * spread / table["batch_size"]
    np.testing.assert_allclose(table["law"], expected, rtol=1e-5)


def test_the_noise_is_the_mean_over_the_drawn_batches_of_the_squared_distance():
    """The batches are drawn again with the same generator, and their gradients averaged one by one."""
    model = seeded(small)
    table = ns.probes.gradient_noise(model, X, Y, [3], draws=7, generator=torch.Generator().manual_seed(5))
    gradients = gradients_of(model)
    drawn = torch.randint(10, (7, 3), generator=torch.Generator().manual_seed(5))
    squares = [(gradients[which].mean(0) - gradients.mean(0)).square().sum().item() for which in drawn]
    assert table["noise"].item() == pytest.approx(np.mean(squares), rel=1e-5)
    assert table["standard_error"].item() == pytest.approx(np.std(squares, ddof=1) / math.sqrt(7), rel=1e-5)


def test_the_mean_over_every_possible_batch_is_the_law():
    """Eq. 2 by brute force: all 4³ batches of three among four examples."""
    model = seeded(small)
    gradients = gradients_of(model)[:4]
    every = itertools.product(range(4), repeat=3)
    squares = [(gradients[list(one)].mean(0) - gradients.mean(0)).square().sum().item() for one in every]
    table = ns.probes.gradient_noise(model, X[:4], Y[:4], [3], draws=1)
    assert table["law"].item() == pytest.approx(np.mean(squares), rel=1e-5)


def test_the_sampled_noise_is_the_law_within_its_standard_error():
    table = ns.probes.gradient_noise(seeded(small), X, Y, [1, 4, 16], draws=4_000)
    assert (abs(table["noise"] - table["law"]) < 4 * table["standard_error"]).all()


def test_the_square_of_the_rate_is_an_identity():
    table = ns.probes.gradient_noise(seeded(small), X, Y, [4], rates=[1.0, 0.5], draws=50)
    half, whole = table["noise"]
    assert half == whole / 4


@pytest.mark.parametrize("block", [1, 400, 10**9])
@pytest.mark.parametrize("vectorized", [True, False])
def test_blocks_and_loops_compute_what_one_block_does(monkeypatch, block, vectorized):
    model = seeded(small)
    whole = ns.probes.gradient_noise(model, X, Y, [1, 4], draws=20)
    monkeypatch.setattr(_gradient_noise, "_BLOCK", block)
    monkeypatch.setattr(_gradient_noise, "_DRAWN", 8)
    if not vectorized:
        monkeypatch.setattr(_gradient_noise, "_vectorized", lambda *_: lambda which: 1 / 0)
    found = ns.probes.gradient_noise(model, X, Y, [1, 4], draws=20)
    np.testing.assert_allclose(found, whole, rtol=1e-6)


def test_the_gradients_in_memory_are_those_of_two_blocks_at_most(monkeypatch):
    """Each block is of three examples, so no call asks for more, and all pairs of the four blocks are seen."""
    model = seeded(small)
    numbers = sum(parameter.numel() for parameter in model.parameters())
    asked = []

    def counting(*arguments):
        gradients = _gradient_noise._one_by_one(*arguments)

        def counted(which):
            asked.append(which.stop - (which.start or 0))
            return gradients(which)

        return counted

    monkeypatch.setattr(_gradient_noise, "_differentiator", counting)
    monkeypatch.setattr(_gradient_noise, "_BLOCK", 3 * numbers)
    ns.probes.gradient_noise(model, X, Y, [1], draws=1)
    assert max(asked) == 3
    assert len(asked) == 4 + 4 + 6


class Branching(nn.Module):
    """Cannot be vectorized: its way depends on a value."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 4), nn.Linear(3, 4)

    def forward(self, x):
        return torch.cat([(self.first if one.sum() > 0 else self.second)(one[None]) for one in x])


def test_a_model_that_cannot_be_vectorized_is_differentiated_example_by_example():
    model, x = seeded(Branching), batch(10, 3)
    table = ns.probes.gradient_noise(model, x, Y, [2], draws=1)
    rows = []
    for place in range(10):
        twin = copy.deepcopy(model)
        F.cross_entropy(twin(x[place : place + 1]), Y[place : place + 1]).backward()
        grads = [torch.zeros_like(one) if one.grad is None else one.grad for one in twin.parameters()]
        rows.append(torch.cat([one.flatten() for one in grads]).double())
    assert table["law"].item() == pytest.approx(spread_of(torch.stack(rows)) / 2, rel=1e-5)


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 4)

    def forward(self, tokens, scale=1.0):
        return self.table(tokens).sum(1) * scale


def test_inputs_may_be_mappings_and_tuples():
    model, tokens = seeded(Named), torch.tensor([[0, 1], [2, 3], [4, 4]])
    forms = ({"tokens": tokens, "scale": 1.0}, (tokens, 1.0), tokens)
    laws = [ns.probes.gradient_noise(model, x, Y[:3], [1], draws=1)["law"].item() for x in forms]
    assert laws[0] == laws[1] == laws[2] > 0


def test_a_single_example_has_no_noise():
    table = ns.probes.gradient_noise(seeded(small), X[:1], Y[:1], [1, 4], draws=3)
    assert table["noise"].tolist() == table["law"].tolist() == [0.0, 0.0]


def test_a_gradient_that_is_not_a_number_shows():
    x = X.clone()
    x[3] = math.nan
    table = ns.probes.gradient_noise(seeded(small), x, Y, [2], draws=3)
    assert table[["noise", "law"]].isna().all(axis=None)


@pytest.mark.parametrize(
    "norm", [lambda: nn.BatchNorm2d(3), lambda: ns.nn.SuppressNorm(3), lambda: ns.nn.AlternatingNorm(3)]
)
def test_a_norm_over_the_batch_is_refused_in_training_mode_and_not_in_evaluation_mode(norm):
    model = seeded(lambda: small(norm))
    with pytest.raises(InputError, match="'1' normalizes by the moments of its batch"):
        ns.probes.gradient_noise(model, X, Y, [2])
    model.eval()
    table = ns.probes.gradient_noise(model, X, Y, [2], draws=1)
    assert table["law"].item() == pytest.approx(spread_of(gradients_of(model)) / 2, rel=1e-4)


@pytest.mark.parametrize("norm", [lambda: nn.GroupNorm(1, 3), lambda: nn.InstanceNorm2d(3, affine=True)])
def test_a_norm_within_each_example_is_measured(norm):
    model = seeded(lambda: small(norm))
    table = ns.probes.gradient_noise(model, X, Y, [2], draws=1)
    assert table["law"].item() == pytest.approx(spread_of(gradients_of(model)) / 2, rel=1e-4)


class Functional(nn.Module):
    def forward(self, x):
        return F.batch_norm(x, None, None, training=True)


@pytest.mark.parametrize(
    ("model", "loss"),
    [
        (small(Functional), F.cross_entropy),
        (small(lambda: nn.Dropout(0.5)), F.cross_entropy),
        (small(), lambda output, y: F.cross_entropy(output, y, reduction="sum")),
    ],
    ids=["a norm in the code", "dropout", "a sum"],
)
def test_a_loss_that_is_not_the_mean_of_the_examples_losses_is_refused(model, loss):
    with pytest.raises(InputError, match="gradient noise is defined only where the two are equal"):
        ns.probes.gradient_noise(model, X, Y, [2], loss=loss)


def test_wrong_arguments_are_refused_in_one_sentence():
    model = small()

    def refused(words, x=X, y=Y, sizes=(2,), **options):
        with pytest.raises(InputError, match=words):
            ns.probes.gradient_noise(model, x, y, sizes, **options)

    refused("positive whole numbers", sizes=[])
    refused("positive whole numbers", sizes=[0])
    refused("positive whole numbers", sizes=[2.0])
    refused("positive whole numbers", draws=0)
    refused("finite numbers", rates=[])
    refused("finite numbers", rates=[math.nan])
    refused("the number of examples, not the shapes", y=Y[:3])
    refused("the model cannot take this input", x=batch(10, 3, 6, 6))
    refused("one number", loss=lambda output, y: output)
    model.requires_grad_(False)
    refused("no parameter that requires a gradient")
    with pytest.raises(InputError, match=r"model must be a torch\.nn\.Module"):
        ns.probes.gradient_noise(None, X, Y, [1])


@pytest.mark.parametrize("vectorized", [True, False])
def test_the_model_its_gradients_and_every_generator_are_left_as_they_were(vectorized):
    model = seeded(lambda: small(lambda: nn.BatchNorm2d(3))).eval() if vectorized else seeded(Branching)
    x = X if vectorized else batch(10, 3)
    F.cross_entropy(model(x), Y).backward()
    state = copy.deepcopy(model.state_dict())
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    torch.manual_seed(0), random.seed(0), np.random.seed(0)  # noqa: NPY002
    drawn = torch.rand(3).tolist(), random.random(), np.random.rand()  # noqa: NPY002
    torch.manual_seed(0), random.seed(0), np.random.seed(0)  # noqa: NPY002
    first = ns.probes.gradient_noise(model, x, Y, [2], draws=5)
    assert (torch.rand(3).tolist(), random.random(), np.random.rand()) == drawn  # noqa: NPY002
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name])
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter.grad, gradients[name])
    assert not any(module._forward_hooks for module in model.modules())
    assert ns.probes.gradient_noise(model, x, Y, [2], draws=5).equals(first)
