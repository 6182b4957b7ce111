"""The cells along the first steps and along gradients, against plain loops at depth 8."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from normscope import data, networks
from normscope.data.augmentation import CropAndFlip
from normscope.data.batches import Split, seeded_epochs
from normscope.generators import seeded
from normscope.papers.bjorck2018.cells.diverging import FirstSteps, first_steps
from normscope.papers.bjorck2018.cells.landscapes import (
    GradientLine,
    loss_along_gradient,
    moments_along_gradient,
)
from normscope.papers.bjorck2018.cells.noise import SampledNoise, law_at, noise_at, sample_noise

IMAGES, BATCH, DEPTH = 48, 8, 8
STEPS = FirstSteps("none", 0.001, 1, "mnist5k", IMAGES, DEPTH, steps=3, batch=BATCH)
ALPHAS = (0.0, 0.01, 0.1)
LINE = GradientLine("none", 0.001, 3, 1, "mnist5k", IMAGES, DEPTH, ALPHAS, batch=BATCH, double=True)
NOISE = SampledNoise("none", 1, "mnist5k", IMAGES, DEPTH, batch=6, sizes=(1, 4), rates=(0.5,), draws=3)


def network(norm="none", seed=1):
    with seeded(seed):
        return networks.resnet(DEPTH, norm).train()


def batches(seed=1):
    images = Split.of(data.load("mnist5k"), "train", 32, 3).first(IMAGES)
    return list(next(seeded_epochs(images, 1, BATCH, seed, CropAndFlip())))


def trained(steps, norm="none", rate=0.001):
    """A plain loop of SGD with momentum 0.9 and weight decay 5e-4; the model, and the losses before the steps."""
    model, losses, velocity = network(norm), [], {}
    for x, y in batches()[:steps]:
        model.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                gradient = parameter.grad + 5e-4 * parameter
                velocity[name] = gradient + 0.9 * velocity.get(name, 0.0)
                parameter -= rate * velocity[name]
    return model, losses


def values(table, measure, **where):
    frame = table.to_pandas()
    frame = frame[frame["measure"] == measure]
    for column, value in where.items():
        frame = frame[frame[column].isna() if value is None else frame[column] == value]
    return frame["value"].to_numpy()


def test_the_first_steps_are_those_of_a_plain_loop():
    _, losses = trained(3)
    table = first_steps(STEPS)
    np.testing.assert_allclose(values(table, "batch_loss"), losses, rtol=1e-4)
    assert values(table, "diverged").size == 0


def test_a_run_that_diverges_ends_with_the_step_and_its_loss():
    frame = first_steps(dataclasses.replace(STEPS, rate=1e3)).to_pandas()
    assert frame["measure"].tolist() == ["batch_loss", "diverged"]
    assert frame["step"].tolist() == [1, 2]
    assert not frame["value"].iloc[1] <= 1e3


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("step", [1, 3])
def test_the_line_is_that_of_a_plain_gradient_step_on_the_steps_batch(norm, step):
    model, _ = trained(step - 1, norm)
    x, y = batches()[step - 1]
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()
    losses = []
    for alpha in ALPHAS:
        twin = copy.deepcopy(model).double()
        with torch.no_grad():
            for moved, parameter in zip(twin.parameters(), model.parameters(), strict=True):
                moved -= alpha * parameter.grad.double()
            losses.append(F.cross_entropy(twin(x.double()), y).item())
    table = loss_along_gradient(dataclasses.replace(LINE, norm=norm, at_step=step))
    length = math.sqrt(sum(parameter.grad.square().sum().item() for parameter in model.parameters()))
    np.testing.assert_allclose(values(table, "loss"), losses, rtol=1e-3)
    np.testing.assert_allclose(values(table, "alpha"), ALPHAS)
    np.testing.assert_allclose(values(table, "distance"), np.array(ALPHAS) * length, rtol=1e-2)
    np.testing.assert_allclose(values(table, "gradient_norm", layer=None), [length], rtol=1e-2)
    stem = model.stem.conv.weight.grad.norm().item()
    np.testing.assert_allclose(values(table, "gradient_norm", layer="stem.conv"), [stem], rtol=1e-2)
    assert values(table, "classes").tolist() == [10]


def test_the_moments_are_those_of_the_convolutions_outputs_at_each_point():
    model, _ = trained(2)
    x, y = batches()[2]
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 0.1 * parameter.grad
    outputs = {}
    for name in ("stem", "blocks.1.second"):
        unit = model.get_submodule(name)
        unit.conv.register_forward_hook(lambda _, __, out, name=name: outputs.update({name: out.detach()}))
    model(x)
    table = moments_along_gradient(LINE)
    assert values(table, "loss").tolist() == values(loss_along_gradient(LINE), "loss").tolist()
    assert values(table, "mean").size == values(table, "variance").size == 3 * (DEPTH - 1)
    for name, output in outputs.items():
        mean = output.mean((0, 2, 3)).abs().mean().item()
        variance = output.var((0, 2, 3), correction=0).mean().item()
        where = {"layer": f"{name}.conv", "index": 2}
        np.testing.assert_allclose(values(table, "mean", **where), [mean], rtol=1e-3)
        np.testing.assert_allclose(values(table, "variance", **where), [variance], rtol=1e-3)


def test_a_run_that_diverges_before_the_step_has_no_line():
    frame = moments_along_gradient(dataclasses.replace(LINE, rate=1e3)).to_pandas()
    assert frame["measure"].tolist() == ["diverged"]
    assert frame["step"].tolist() == [2]


def test_the_noise_has_the_spread_of_gradients_that_backward_computes_one_by_one():
    images = Split.of(data.load("mnist5k"), "train", 32, 3).first(IMAGES)
    x, y = images.batch(torch.randperm(IMAGES, generator=torch.Generator().manual_seed(1))[:6])
    rows = []
    for place in range(6):
        model = network()
        F.cross_entropy(model(x[place : place + 1]), y[place : place + 1]).backward()
        rows.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).double())
    gradients = torch.stack(rows)
    away = gradients - gradients.mean(0)
    spread = away.square().sum(1).mean().item()
    table = sample_noise(NOISE)
    np.testing.assert_allclose(values(table, law_at(0.5)), [spread / 4, spread / 16], rtol=1e-4)
    generator = torch.Generator().manual_seed(1)
    expected = [
        np.mean(
            [
                0.25 * away[which].mean(0).square().sum().item()
                for which in torch.randint(6, (3, size), generator=generator)
            ]
        )
        for size in (1, 4)
    ]
    np.testing.assert_allclose(values(table, noise_at(0.5)), expected, rtol=1e-4)


@pytest.mark.parametrize(("function", "config"), [(first_steps, STEPS), (loss_along_gradient, LINE)])
def test_the_same_cell_gives_the_same_bits_and_leaves_the_global_generator_alone(function, config):
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    first = function(config)
    assert torch.equal(torch.rand(2), expected)
    assert function(config).equals(first)


# Of version 1; a mismatch means that a cell's meaning has changed: bump its version and measure anew.
FINGERPRINTS = {
    first_steps: (STEPS, "batch_loss", [2.1792, 2.3130, 2.2093]),
    loss_along_gradient: (LINE, "loss", [2.2093, 2.1960, 2.0761]),
    moments_along_gradient: (LINE, "loss", [2.2093, 2.1960, 2.0761]),
    sample_noise: (NOISE, noise_at(0.5), [5.1214, 1.1242]),
}


@pytest.mark.parametrize("function", FINGERPRINTS, ids=lambda function: function.name)
def test_the_rows_of_this_version_have_not_moved(function):
    config, measure, expected = FINGERPRINTS[function]
    assert function.version == 1
    np.testing.assert_allclose(values(function(config), measure), expected, rtol=2e-3)
