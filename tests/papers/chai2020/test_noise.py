"""The cells of §4, run for real on a few images."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from normscope import data, training
from normscope.errors import InputError
from normscope.papers.chai2020.cells import recipe
from normscope.papers.chai2020.cells.noise import (
    ARRANGEMENTS,
    PLAIN,
    NoiseTraining,
    StepComparison,
    _run,
    compare_steps,
    compared_steps,
    train_arrangement,
)
from normscope.papers.chai2020.cells.step_watch import StepWatch

TRAINING = NoiseTraining("nlms_l2", 0.1, 1.0, seed=0, data="mnist5k", images=128, epochs=2)
STEPS = StepComparison("prior", 0.1, seed=0, data="mnist5k", images=256)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(name, seed=0, noise=0.0):
    """An arrangement's network before its first step."""
    return _run(dataclasses.replace(STEPS, arrangement=name, seed=seed), noise).model


def values(table, measure, **where):
    frame = table.to_pandas()
    for column, wanted in {"measure": measure, **where}.items():
        frame = frame[frame[column] == wanted]
    return frame["value"].tolist()


@pytest.mark.parametrize(("function", "config"), [(train_arrangement, TRAINING), (compare_steps, STEPS)])
class TestBothCells:
    def test_the_same_cell_gives_the_same_bits_whatever_ran_before(self, function, config):
        torch.manual_seed(0)
        first = function(config)
        torch.manual_seed(99)
        torch.rand(7)
        assert function(config).equals(first)

    def test_a_cell_leaves_the_global_generator_alone(self, function, config):
        torch.manual_seed(5)
        expected = torch.rand(2)
        torch.manual_seed(5)
        function(config)
        assert torch.equal(torch.rand(2), expected)

    def test_another_seed_gives_another_run(self, function, config):
        assert not function(dataclasses.replace(config, seed=1)).equals(function(config))


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_only_the_second_convolution_is_arranged(name):
    arrangement, model = ARRANGEMENTS[name], network(name, seed=0, noise=2.0)
    plain = network("baseline", seed=0)
    assert type(model.conv1) is nn.Conv2d
    assert (model.conv2.normalizer, model.conv2.power) == (arrangement.normalizer, arrangement.power)
    assert model.conv2.error_noise == 2.0
    normed = {place for place in ("before1", "norm1", "top1", "before2", "norm2", "top2")
              if not isinstance(getattr(model, place), nn.Identity)}  # fmt: skip
    assert normed == {"batch": {"norm2"}, "prior": {"before2"}}.get(name, set())
    assert torch.equal(model.conv2.weight, plain.conv2.weight)
    assert torch.equal(model.fc.weight, plain.fc.weight)


def test_the_output_layer_stays_as_it_was_drawn(monkeypatch):
    models = []
    original = training.train

    def keeping(model, *arguments, **options):
        models.append(model)
        return original(model, *arguments, **options)

    monkeypatch.setattr(training, "train", keeping)
    train_arrangement(dataclasses.replace(TRAINING, arrangement="batch"))
    start = dict(network("batch", seed=0).named_parameters())
    moved = {name for name, p in models[0].named_parameters() if not torch.equal(p, start[name])}
    assert moved == set(start) - {"fc.weight", "fc.bias"}


def test_a_seeds_noise_is_the_same_for_every_arrangement_and_no_other_seeds():
    def drawn(name, seed):
        return torch.randn(4, generator=network(name, seed, noise=1.0).conv2.generator)

    first = drawn("baseline", 0)
    assert all(torch.equal(drawn(name, 0), first) for name in ARRANGEMENTS)
    assert not torch.equal(drawn("baseline", 1), first)
    assert not torch.equal(torch.randn(4, generator=torch.Generator().manual_seed(0)), first)


def _batches(count):
    """The first training digits of a data set in the seed's order, prepared without normscope."""
    digits = data.load("mnist5k")
    pixels = np.pad(np.asarray(digits.train_images[:count]), ((0, 0), (0, 0), (2, 2), (2, 2)))
    x = (torch.from_numpy(pixels).float() / 255 - 0.1307) / 0.3081
    y = torch.from_numpy(np.array(digits.train_labels[:count])).long()
    for indices in torch.randperm(count, generator=torch.Generator().manual_seed(0)).split(64):
        yield x[indices], y[indices]


def _by_hand(norm_before, norm_after):
    """The paper's network in plain PyTorch, in two halves: up to the second convolution's input, and beyond it."""
    torch.manual_seed(0)
    first, second, head = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Linear(400, 10)
    lower = nn.Sequential(first, nn.ReLU(), nn.AvgPool2d(2), *norm_before)
    upper = nn.Sequential(*norm_after, nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), head)
    return lower, second, upper


def _nlms_by_hand(x, gradient, power="mean"):
    """Eq. 9 from unfolded patches: (O, C·k²), the sum over positions and batch."""
    patches = nn.functional.unfold(x, 5).view(len(x), 6, 25, -1)
    size = patches.square().mean(2) if power == "mean" else patches.square().sum(2)
    scaled = (patches / (1e-2 + size).unsqueeze(2)).flatten(1, 2)
    return torch.einsum("nom,nkm->ok", gradient.flatten(2), scaled)


@pytest.mark.parametrize("name", ["baseline", "batch", "prior", "nlms_l2", "nlms_l2_sum"])
def test_training_is_the_papers_by_a_few_lines_of_pytorch(name):
    """A whole epoch against code that shares nothing with the cell but the data set."""
    lower, second, upper = _by_hand(
        [nn.BatchNorm2d(6)] if name == "prior" else [], [nn.BatchNorm2d(16)] if name == "batch" else []
    )
    losses = []
    for x, y in _batches(256):
        hidden = lower(x)
        out = second(hidden)
        out.retain_grad()
        loss = nn.functional.cross_entropy(upper(out), y)
        for module in (lower, second, upper):
            module.zero_grad()
        loss.backward()
        if name.startswith("nlms"):
            power = "sum" if name.endswith("sum") else "mean"
            second.weight.grad = _nlms_by_hand(hidden.detach(), out.grad, power).view_as(second.weight)
        with torch.no_grad():
            trained = [*lower.parameters(), *second.parameters(), *list(upper.parameters())[:-2]]
            for parameter in trained:
                parameter -= (0.5 if parameter.ndim == 4 else 0.1) * parameter.grad
        losses.append(loss.item())
    found = train_arrangement(
        dataclasses.replace(TRAINING, arrangement=name, noise=0.0, rate=0.5, images=256, epochs=1)
    )
    assert values(found, "train_loss") == pytest.approx([np.mean(losses)], rel=1e-3)


def _weight_gradients(name, noise, batches=12):
    """The second convolution's weight gradient at the start, a row a batch."""
    model = network(name, seed=0, noise=noise)
    split = recipe.start(dataclasses.replace(STEPS, images=64 * batches)).images
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


@pytest.mark.parametrize("name", PLAIN)
def test_the_first_comparison_is_that_of_the_first_batch(name):
    lower, second, upper = _by_hand(
        [nn.BatchNorm2d(6)] if name == "prior" else [], [nn.BatchNorm2d(16)] if name == "batch" else []
    )
    x, y = next(_batches(256))
    raw = lower[:3](x)
    hidden = lower[3:](raw)
    out = second(hidden)
    out.retain_grad()
    nn.functional.cross_entropy(upper(out), y).backward()
    plain = second.weight.grad.flatten()

    def cosine(update):
        return [nn.functional.cosine_similarity(plain, update.flatten(), dim=0).item()]

    found = compare_steps(dataclasses.replace(STEPS, arrangement=name))
    mean, sums = (_nlms_by_hand(hidden.detach(), out.grad, power) for power in ("mean", "sum"))
    assert values(found, "cosine_mean", step=0) == pytest.approx(cosine(mean), abs=1e-4)
    assert values(found, "cosine_sum", step=0) == pytest.approx(cosine(sums), abs=1e-4)
    assert values(found, "length", step=0) == pytest.approx([(plain.norm() / mean.norm()).item()], rel=1e-4)
    raw_cosine = cosine(_nlms_by_hand(raw.detach(), out.grad)) if name == "prior" else []
    assert values(found, "cosine_raw", step=0) == pytest.approx(raw_cosine, abs=1e-4)


def test_an_input_whose_patches_all_have_the_same_power_is_stepped_as_nlms_would():
    """The paper's assumption behind eq. 10, met exactly: a constant-power input makes the two steps parallel."""
    model = network("baseline", seed=0)
    watch = StepWatch(model)
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randint(0, 2, (8, 6, 14, 14), generator=generator).float() * 2 - 1
    model.conv2(hidden).square().sum().backward()
    measured = watch.compare()
    assert measured["cosine_mean"] == pytest.approx(1.0, abs=1e-6)
    assert measured["length"] == pytest.approx(1.01, rel=1e-5)  # ε beside a power of 1


def test_gain_and_bias_are_those_of_the_point_before_the_step():
    found = compare_steps(STEPS)
    assert values(found, "gain_distance", step=0) == [0.0]
    assert values(found, "bias_distance", step=0) == [0.0]
    assert values(found, "gain_distance", step=1)[0] > 0
    assert values(compare_steps(dataclasses.replace(STEPS, arrangement="baseline")), "gain_distance") == []


def test_comparing_leaves_no_trace_on_the_run(monkeypatch):
    losses = []
    original = training.train

    def listening(*arguments, after_step=None, **options):
        def hear(step, loss):
            losses.append(loss)
            if after_step is not None:
                after_step(step, loss)

        return original(*arguments, after_step=hear, **options)

    monkeypatch.setattr(training, "train", listening)
    compare_steps(STEPS)
    compared, losses = losses, []
    train_arrangement(NoiseTraining("prior", 0.1, 0.0, 0, "mnist5k", images=256, epochs=1))
    assert losses == compared


def test_an_nlms_step_is_not_held_against_itself():
    with pytest.raises(InputError, match="must take plain steps"):
        StepWatch(network("nlms_l2", seed=0))


@pytest.mark.parametrize("count", [1, 7, 50, 51, 78, 312, 937])
def test_the_compared_steps_are_dense_at_first_then_thin_out_up_to_the_last(count):
    steps = compared_steps(count)
    assert steps[: min(count, 50)] == tuple(range(min(count, 50)))
    assert steps[-1] == count - 1
    assert list(steps) == sorted(set(steps))
    later = np.diff(steps[50:-1])
    assert len(steps) <= 50 + 10 * np.log2(max(count / 50, 1)) + 2
    assert (later[1:] >= later[:-1] - 1).all()


def test_the_recipe_of_the_optimiser_holds_for_every_arrangement():
    for name in ARRANGEMENTS:
        run = _run(dataclasses.replace(STEPS, arrangement=name, rate=7.0))
        rates = {id(p): group["lr"] for group in run.optimizer.param_groups for p in group["params"]}
        swept = {parameter for parameter, p in run.model.named_parameters() if rates.get(id(p)) == 7.0}
        assert swept == {"conv1.weight", "conv2.weight"}


FINGERPRINTS = {
    # Of version 1; a mismatch means that the cells' meaning has changed: bump their version and measure anew.
    "train_loss": [2.29760, 2.28350],
    "cosine_mean": [0.634946, 0.630698],
}


def test_the_rows_of_this_version_have_not_moved():
    losses = values(train_arrangement(TRAINING), "train_loss")
    cosines = values(compare_steps(STEPS), "cosine_mean")
    assert (train_arrangement.version, compare_steps.version) == (1, 1)
    assert losses == pytest.approx(FINGERPRINTS["train_loss"], rel=2e-3)
    assert [cosines[0], cosines[3]] == pytest.approx(FINGERPRINTS["cosine_mean"], rel=2e-3)
