"""Fig. 9's arrangements and the cell that trains one with noise, run for real on a few images."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from normscope import training
from normscope.papers.chai2020.cells import recipe
from normscope.papers.chai2020.cells.arrangements import (
    ARRANGEMENTS,
    FIRST_FIXED,
    LARGE_EPS,
    NLMS,
    PAPERS_FIVE,
    PLAIN,
    SUM,
    start,
)
from normscope.papers.chai2020.cells.noise import NoiseTraining, train_arrangement

TRAINING = NoiseTraining("nlms_l2", 0.1, 1.0, seed=0, data="mnist5k", images=128, epochs=2)


def run_of(name, seed=0, noise=0.0, rate=0.1):
    return start(dataclasses.replace(TRAINING, arrangement=name, seed=seed, rate=rate), noise)


def network(name, seed=0, noise=0.0):
    """An arrangement's network before its first step."""
    return run_of(name, seed, noise).model


def values(table, measure, **where):
    frame = table.to_pandas()
    for column, wanted in {"measure": measure, **where}.items():
        frame = frame[frame[column] == wanted]
    return frame["value"].tolist()


def test_the_same_cell_gives_the_same_bits_whatever_ran_before():
    torch.manual_seed(0)
    first = train_arrangement(TRAINING)
    torch.manual_seed(99)
    torch.rand(7)
    assert train_arrangement(TRAINING).equals(first)


def test_a_cell_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    train_arrangement(TRAINING)
    assert torch.equal(torch.rand(2), expected)


def test_another_seed_gives_another_run():
    assert not train_arrangement(dataclasses.replace(TRAINING, seed=1)).equals(train_arrangement(TRAINING))


def test_every_reading_is_of_the_arrangements_that_it_names():
    assert set(SUM) == {f"{name}_sum" for name in NLMS}
    assert set(LARGE_EPS) == {f"{name}_eps" for name in NLMS}
    assert set(FIRST_FIXED) == {f"{name}_first" for name in PAPERS_FIVE}
    assert list(ARRANGEMENTS) == [*PAPERS_FIVE, *SUM, *LARGE_EPS, *FIRST_FIXED]
    assert len({one.label for one in ARRANGEMENTS.values()}) == len(ARRANGEMENTS)


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_only_the_second_convolution_is_arranged(name):
    kind = next((one for one in ("l1", "l2") if f"nlms_{one}" in name), None)
    model = network(name, noise=2.0)
    plain = network("baseline")
    assert type(model.conv1) is nn.Conv2d
    assert model.conv2.normalizer == kind
    assert model.conv2.power == ("sum" if name.endswith("_sum") else "mean")
    assert model.conv2.eps == (1.0 if name.endswith("_eps") else 1e-2)
    assert model.conv2.error_noise == 2.0
    normed = {place for place in ("before1", "norm1", "top1", "before2", "norm2", "top2")
              if not isinstance(getattr(model, place), nn.Identity)}  # fmt: skip
    assert normed == {"batch": {"norm2"}, "prior": {"before2"}}.get(name.partition("_")[0], set())
    assert torch.equal(model.conv2.weight, plain.conv2.weight)
    assert torch.equal(model.fc.weight, plain.fc.weight)


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_the_second_convolution_takes_the_swept_rate_and_the_first_that_of_its_reading(name):
    run = run_of(name, rate=7.0)
    groups = {id(p): group["lr"] for group in run.optimizer.param_groups for p in group["params"]}
    rates = {parameter: groups.get(id(p)) for parameter, p in run.model.named_parameters()}
    expected = {"conv1.weight": 0.1 if name in FIRST_FIXED else 7.0, "conv2.weight": 7.0}
    assert rates == dict.fromkeys(rates, 0.1) | expected | {"fc.weight": None, "fc.bias": None}
    assert not any(group["momentum"] or group["weight_decay"] for group in run.optimizer.param_groups)


def test_the_output_layer_stays_as_it_was_drawn(monkeypatch):
    models = []
    original = training.train

    def keeping(model, *arguments, **options):
        models.append(model)
        return original(model, *arguments, **options)

    monkeypatch.setattr(training, "train", keeping)
    train_arrangement(dataclasses.replace(TRAINING, arrangement="batch"))
    drawn = dict(network("batch").named_parameters())
    moved = {name for name, p in models[0].named_parameters() if not torch.equal(p, drawn[name])}
    assert moved == set(drawn) - {"fc.weight", "fc.bias"}


def test_a_seeds_noise_is_the_same_for_every_arrangement_and_no_other_seeds():
    def drawn(name, seed):
        return torch.randn(4, generator=network(name, seed, noise=1.0).conv2.generator)

    first = drawn("baseline", 0)
    assert all(torch.equal(drawn(name, 0), first) for name in ARRANGEMENTS)
    assert not torch.equal(drawn("baseline", 1), first)
    assert not torch.equal(torch.randn(4, generator=torch.Generator().manual_seed(0)), first)


@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize(
    "name",
    ["baseline", "batch", "prior", "nlms_l1", "nlms_l2", "nlms_l2_sum", "nlms_l2_eps", "baseline_first"],
)
def test_training_is_the_papers_by_a_few_lines_of_pytorch(name, noise, by_hand):
    """A whole epoch against code that shares nothing with the cell but the data set and the noise's seed."""
    plain = by_hand.network(name, rate=0.5)
    generator = torch.Generator().manual_seed(1_000_000)
    losses = [plain.step(x, y, noise, generator) for x, y in by_hand.batches(256, epochs=1)]
    config = dataclasses.replace(TRAINING, arrangement=name, noise=noise, rate=0.5, images=256, epochs=1)
    found = train_arrangement(config)
    assert values(found, "train_loss") == pytest.approx([np.mean(losses)], rel=1e-4)
    x, y = by_hand.digits("test")
    error = (plain.test_logits(x).argmax(1) != y).double().mean().item()
    assert values(found, "validation_error") == pytest.approx([error], abs=0.003)


def _weight_gradients(name, noise, batches=12):
    """The second convolution's weight gradient at the start, a row a batch."""
    model = network(name, noise=noise)
    split = recipe.start(dataclasses.replace(TRAINING, images=64 * batches)).images
    rows = []
    for indices in torch.arange(64 * batches).split(64):
        x, y = split.batch(indices)
        model.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        rows.append(model.conv2.weight.grad.flatten().clone())
    return torch.stack(rows)


@pytest.mark.parametrize("name", PLAIN)
def test_noise_1_moves_the_weight_gradient_about_as_much_as_the_sampling_of_its_batch_does(name):
    """What Fig. 10's discussion rests on."""
    quiet, noisy = _weight_gradients(name, 0.0), _weight_gradients(name, 1.0)
    injected = (noisy - quiet).square().sum(1).mean().sqrt()
    assert 0.7 < injected / quiet.var(0).sum().sqrt() < 1.4


def test_a_run_that_diverges_records_the_step_and_the_loss():
    found = train_arrangement(dataclasses.replace(TRAINING, arrangement="baseline", rate=1e6))
    (loss,) = values(found, "diverged")
    assert not loss <= 1e3
    assert len(values(found, "validation_error")) < 2


# Of version 1; a mismatch means that the cell's meaning has changed: bump its version and measure anew.
FINGERPRINT = [2.29760, 2.28350]


def test_the_rows_of_this_version_have_not_moved():
    assert train_arrangement.version == 1
    assert values(train_arrangement(TRAINING), "train_loss") == pytest.approx(FINGERPRINT, rel=2e-3)
