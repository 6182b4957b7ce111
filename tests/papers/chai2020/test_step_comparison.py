"""The cell that compares plain steps with NLMS's, run for real on a few images."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from normscope.errors import InputError
from normscope.papers.chai2020.cells.arrangements import PLAIN, start
from normscope.papers.chai2020.cells.noise import NoiseTraining, train_arrangement
from normscope.papers.chai2020.cells.step_comparison import StepComparison, compare_steps, compared_steps
from normscope.papers.chai2020.cells.step_watch import StepWatch, power_variation

STEPS = StepComparison("prior", 0.1, seed=0, data="mnist5k", images=256)


def values(table, measure, **where):
    frame = table.to_pandas()
    for column, wanted in {"measure": measure, **where}.items():
        frame = frame[frame[column] == wanted]
    return frame["value"].tolist()


def cosine(one, other):
    return nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0).item()


def variation_by_hand(x):
    """The coefficient of variation of the power of a channel's patches, from unfolded patches: the channels' mean."""
    powers = (
        nn.functional.unfold(x, 5)
        .view(len(x), x.shape[1], 25, -1)
        .square()
        .mean(2)
        .transpose(0, 1)
        .flatten(1)
    )
    return (powers.std(1, correction=0) / powers.mean(1)).mean().item()


def test_the_same_cell_gives_the_same_bits_whatever_ran_before():
    torch.manual_seed(0)
    first = compare_steps(STEPS)
    torch.manual_seed(99)
    torch.rand(7)
    assert compare_steps(STEPS).equals(first)


def test_a_cell_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    compare_steps(STEPS)
    assert torch.equal(torch.rand(2), expected)


def test_another_seed_gives_another_run():
    assert not compare_steps(dataclasses.replace(STEPS, seed=1)).equals(compare_steps(STEPS))


@pytest.mark.parametrize("name", PLAIN)
def test_every_measure_is_that_of_a_few_lines_of_pytorch_at_the_first_step_and_at_the_fourth(name, by_hand):
    found = compare_steps(dataclasses.replace(STEPS, arrangement=name))
    network = by_hand.network(name, rate=0.1)
    for step, batch in enumerate(by_hand.batches(256, epochs=1)):
        norm = {"batch": network.after, "prior": network.before}.get(name)
        gain = None if norm is None else norm.weight.detach().clone()
        network.step(*batch)
        if step not in (0, 3):
            continue
        mean, total = (by_hand.nlms(network.x_in, network.error, power=power) for power in ("mean", "sum"))
        expected = {
            "cosine_mean": cosine(network.plain, mean),
            "cosine_sum": cosine(network.plain, total),
            "length": (network.plain.norm() / mean.norm()).item(),
            "power_variation": variation_by_hand(network.x_in),
        }
        if name == "prior":
            # The weights W on γ(x − μ)/σ + β are the weights V = Wγ/σ on x − μ, so a step of W is one of V.
            raw = network.x_raw
            centered = raw - raw.mean((0, 2, 3), keepdim=True)
            sigma = (centered.square().mean((0, 2, 3)) + 1e-5).sqrt()
            step_of_v = network.plain * (gain / sigma).view(1, -1, 1, 1)
            expected["cosine_before_norm"] = cosine(step_of_v, by_hand.nlms(centered, network.error))
        for measure, value in expected.items():
            assert values(found, measure, step=step) == pytest.approx([value], rel=1e-3), measure
        assert (values(found, "cosine_before_norm", step=step) == []) == (name != "prior")
        assert gain is None or (step == 0) == bool((gain == 1).all())


def test_the_step_before_the_norm_takes_the_gain_and_the_standard_deviation_of_each_channel(by_hand):
    """Gains far from 1 and channels of unlike scale: neither factor, nor the centring, could be left out unnoticed."""
    run = start(STEPS)
    watch = StepWatch(run.model)
    raws = []
    run.model.before2.register_forward_pre_hook(lambda _, inputs: raws.append(inputs[0].detach()))
    with torch.no_grad():
        run.model.before2.weight.copy_(torch.tensor([0.2, 3.0, 1.0, 0.5, 8.0, 1.5]))
        run.model.before2.bias.fill_(0.7)
        run.model.conv1.weight.mul_(torch.tensor([0.3, 1.0, 4.0, 2.0, 1.0, 0.5]).view(-1, 1, 1, 1))
    outs = []
    run.model.conv2.register_forward_hook(lambda _, __, out: (out.retain_grad(), outs.append(out))[0])
    x, y = next(iter(by_hand.batches(256, epochs=1)))
    nn.functional.cross_entropy(run.model.train()(x), y).backward()
    plain, error, raw = run.model.conv2.weight.grad, outs[0].grad, raws[0]
    centered = raw - raw.mean((0, 2, 3), keepdim=True)
    scale = run.model.before2.weight.detach() / (centered.square().mean((0, 2, 3)) + 1e-5).sqrt()
    reference = by_hand.nlms(centered, error)
    found = watch.compare()["cosine_before_norm"]
    assert found == pytest.approx(cosine(plain * scale.view(1, -1, 1, 1), reference), abs=1e-5)
    assert abs(found - cosine(plain, reference)) > 0.01
    without_gain = plain * (scale / run.model.before2.weight.detach()).view(1, -1, 1, 1)
    assert abs(found - cosine(without_gain, reference)) > 0.01


def test_an_input_whose_patches_all_have_the_same_power_is_stepped_as_nlms_would():
    """The paper's assumption behind eq. 10, met exactly: a constant-power input makes the two steps parallel."""
    model = start(dataclasses.replace(STEPS, arrangement="baseline")).model
    watch = StepWatch(model)
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randint(0, 2, (8, 6, 14, 14), generator=generator).float() * 2 - 1
    model.conv2(hidden).square().sum().backward()
    measured = watch.compare()
    assert measured["cosine_mean"] == pytest.approx(1.0, abs=1e-6)
    assert measured["length"] == pytest.approx(1.01, rel=1e-5)  # ε beside a power of 1
    assert measured["power_variation"] == 0


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_the_variation_of_patches_power_is_that_of_unfolded_patches_and_has_no_unit(scale):
    x = torch.randn(3, 4, 9, 11, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x[:, 1] += 5
    x[:, 2, :4] = 0
    assert power_variation(scale * x, (5, 5)).item() == pytest.approx(variation_by_hand(x), rel=1e-12)


def test_gain_and_bias_are_those_of_the_point_before_the_step():
    found = compare_steps(STEPS)
    assert values(found, "gain_distance", step=0) == [0.0]
    assert values(found, "bias_distance", step=0) == [0.0]
    assert values(found, "gain_distance", step=1)[0] > 0
    assert values(compare_steps(dataclasses.replace(STEPS, arrangement="baseline")), "gain_distance") == []


def test_comparing_leaves_no_trace_on_the_run(losses_of):
    training = NoiseTraining("prior", 0.1, 0.0, 0, "mnist5k", images=256, epochs=1)
    assert losses_of(compare_steps, STEPS) == losses_of(train_arrangement, training)


def test_a_run_that_diverges_keeps_the_comparisons_until_then():
    found = compare_steps(dataclasses.replace(STEPS, arrangement="baseline", rate=1e6))
    assert len(values(found, "diverged")) == 1
    assert len(values(found, "cosine_mean", step=0)) == 1


def test_an_nlms_step_is_not_compared_with_itself():
    with pytest.raises(InputError, match="must take plain steps"):
        StepWatch(start(dataclasses.replace(STEPS, arrangement="nlms_l2")).model)


def test_before_the_first_step_there_is_nothing_to_compare():
    with pytest.raises(InputError, match="no step has been taken yet"):
        StepWatch(start(STEPS).model).compare()


@pytest.mark.parametrize("count", [1, 7, 50, 51, 78, 312, 937])
def test_the_compared_steps_are_dense_at_first_then_thin_out_up_to_the_last(count):
    steps = compared_steps(count)
    assert steps[: min(count, 50)] == tuple(range(min(count, 50)))
    assert steps[-1] == count - 1
    assert list(steps) == sorted(set(steps))
    later = np.diff(steps[50:-1])
    assert len(steps) <= 50 + 10 * np.log2(max(count / 50, 1)) + 2
    assert (later[1:] >= later[:-1] - 1).all()


# Of version 2; a mismatch means that the cell's meaning has changed: bump its version and measure anew.
FINGERPRINT = {
    "cosine_mean": [0.634946, 0.630698],
    "cosine_before_norm": [0.845727, 0.835351],
    "power_variation": [0.795411, 0.747302],
}


@pytest.mark.parametrize("measure", FINGERPRINT)
def test_the_rows_of_this_version_have_not_moved(measure):
    assert compare_steps.version == 2
    found = values(compare_steps(STEPS), measure)
    assert [found[0], found[3]] == pytest.approx(FINGERPRINT[measure], rel=2e-3)
