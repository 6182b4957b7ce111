"""The cells that train, beside a few lines that share nothing with them."""

import math

import pytest
import torch
from torch import nn

from normscope import data, networks
from normscope.data.augmentation import CropAndFlip
from normscope.data.batches import Split, seeded_epochs
from normscope.generators import seeded
from normscope.papers.bjorck2018.cells.rate_trial import RateTrial, try_rate
from normscope.papers.bjorck2018.cells.training import ResNetTraining, train_resnet

BATCH = 8


def measures(table):
    frame = table.to_pandas()
    return {measure: group["value"].tolist() for measure, group in frame.groupby("measure")}


def network(norm, seed, depth=8):
    with seeded(seed):
        return networks.resnet(depth, norm)


def batches(count, epochs, seed):
    split = Split.of(data.load("mnist5k"), "train", 32, 3).first(count)
    return [batch for one in seeded_epochs(split, epochs, BATCH, seed, CropAndFlip()) for batch in one]


def losses_by_hand(model, steps, rates):
    """Each batch's loss before its step, with momentum and weight decay written out."""
    speeds = [torch.zeros_like(one) for one in model.parameters()]
    for (x, y), rate in zip(steps, rates, strict=True):
        loss = nn.functional.cross_entropy(model(x), y)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for weight, gradient, speed in zip(model.parameters(), gradients, speeds, strict=True):
                speed.mul_(0.9).add_(gradient + 5e-4 * weight)
                weight -= rate * speed
        yield loss.item()


def test_a_run_is_descent_with_momentum_and_decay_whose_rate_falls_at_a_half_and_three_quarters():
    found = measures(train_resnet(ResNetTraining("batch", 0.1, 3, "mnist5k", 16, 20, 8, 4, batch=BATCH)))
    model = network("batch", 3)
    losses = list(losses_by_hand(model, batches(16, 4, 3), [0.1] * 4 + [0.01] * 2 + [0.001] * 2))
    means = [math.fsum(losses[start : start + 2]) / 2 for start in range(0, 8, 2)]
    assert found["train_loss"] == pytest.approx(means, rel=1e-2)
    assert len(found["validation_error"]) == len(found["validation_loss"]) == 4


def test_the_training_error_is_that_of_the_epochs_own_batches():
    found = measures(train_resnet(ResNetTraining("none", 0.0, 5, "mnist5k", 16, 20, 8, 2, batch=BATCH)))
    model = network("none", 5)
    wrong = [(model(x).argmax(1) != y).float().mean().item() for x, y in batches(16, 2, 5)]
    assert found["train_error"] == pytest.approx([sum(wrong[:2]) / 2, sum(wrong[2:]) / 2])


def test_a_diverged_run_keeps_the_epochs_before_and_says_where_it_ended():
    found = measures(train_resnet(ResNetTraining("none", 100.0, 0, "mnist5k", 16, 20, 8, 3, batch=BATCH)))
    assert len(found["diverged"]) == 1
    assert len(found.get("validation_error", [])) < 3


def trial(**changes):
    config = {
        "norm": "none",
        "rate": 0.01,
        "seed": 0,
        "data": "mnist5k",
        "images": 16,
        "depth": 8,
        "steps": 200,
    }
    return measures(try_rate(RateTrial(**config | {"batch": BATCH} | changes)))


def test_a_trial_at_too_high_a_rate_exceeds_the_limit():
    found = trial(rate=30.0)
    assert (found["survived"], found["exceeded"], found["at_chance"]) == ([0.0], [1.0], [0.0])
    assert not found["diverged"][0] <= 1000


def test_a_warm_start_takes_its_steps_at_its_own_rate_first():
    found = trial(rate=1e3, warm_rate=0.0, warm_steps=3)
    model = network("none", 0)
    split = Split.of(data.load("mnist5k"), "train", 32, 3).first(16)
    first = [batch for epoch in seeded_epochs(split, 1, BATCH, 0, CropAndFlip()) for batch in epoch]
    second = [batch for epoch in seeded_epochs(split, 1, BATCH, 1000, CropAndFlip()) for batch in epoch]
    unchanged = [nn.functional.cross_entropy(model(x), y).item() for x, y in [*first, *second]]
    assert found["batch_loss"][:4] == pytest.approx(unchanged, rel=1e-3)
    assert found["exceeded"] == [1.0]
