"""The cell that counts how often the gates act, run for real on a few images."""

import dataclasses

import numpy as np
import pytest
import torch

from normscope.papers.chai2020.cells import recipe
from normscope.papers.chai2020.cells.gates import THRESHOLD, gate_activity
from normscope.papers.chai2020.cells.lenet import EarlySpectrum, LeNetTraining, train_lenet
from normscope.protocol import Rows

CONFIG = EarlySpectrum("suppress", 1.0, seed=0, data="mnist5k", images=512, steps=8)
TWINS = {"amplify": "batch", "suppress": "none"}


def shares(norm="suppress", **fields):
    frame = gate_activity(dataclasses.replace(CONFIG, norm=norm, **fields)).to_pandas()
    return frame[frame["measure"] == "share_above"].set_index("step")["value"]


def training_rows(norm, rate, seed):
    return train_lenet(LeNetTraining(norm, rate, seed, "mnist5k", images=512, epochs=1)).to_pandas()


@pytest.mark.parametrize(("norm", "rate"), [("suppress", 1.0), ("amplify", 1.0), ("amplify", 0.5)])
def test_the_share_is_that_of_the_powers_of_both_convolutions_outputs_step_by_step(norm, rate):
    """The same run, whose convolutions' outputs are kept; their powers are numpy's."""
    run = recipe.start(dataclasses.replace(CONFIG, norm=norm, rate=rate), norm=norm)
    outputs = []
    for layer in (run.model.conv1, run.model.conv2):
        layer.register_forward_hook(
            lambda _, __, out: outputs.append(out.detach().numpy().astype(np.float64))
        )
    expected = []

    def count(step, loss):
        first, second = (np.square(out).mean((0, 2, 3)) for out in outputs)
        expected.append(np.mean([*(first > 1), *(second > 1)]))
        outputs.clear()

    run.record(Rows(), 1, max_steps=8, after_step=count)
    found = shares(norm, rate=rate)
    assert found.index.tolist() == list(range(1, 9))
    assert found.tolist() == expected
    assert 0 == found[1] < found.max() <= 1


def test_the_threshold_is_the_power_that_the_variants_are_defined_by():
    assert THRESHOLD == 1


@pytest.mark.parametrize("norm", TWINS)
def test_a_gated_variant_trains_as_in_figures_6_to_8_while_it_is_counted(norm, losses_of):
    counted = losses_of(gate_activity, dataclasses.replace(CONFIG, norm=norm))
    assert counted == losses_of(train_lenet, LeNetTraining(norm, 1.0, 0, "mnist5k", images=512, epochs=1))


def check_same_training(own, twins):
    """Rounding aside: losses, and validation errors to one image."""
    assert own["measure"].tolist() == twins["measure"].tolist() == ["train_loss", "validation_error"]
    assert own["value"][0] == pytest.approx(twins["value"][0], rel=1e-5)
    assert own["value"][1] == pytest.approx(twins["value"][1], abs=1e-3)


@pytest.mark.parametrize("seed", range(2))
def test_where_no_channel_is_above_the_threshold_amplify_trains_as_batchnorm(seed):
    """An equality that holds by identity is one."""
    assert shares("amplify", rate=0.01, seed=seed).max() == 0
    check_same_training(*(training_rows(norm, 0.01, seed) for norm in ("amplify", "batch")))


@pytest.mark.parametrize("seed", range(2))
def test_where_no_channel_is_above_the_threshold_suppress_differs_from_baseline_by_its_gain_and_bias(seed):
    """With these left as they start, 1 and 0, it trains as Baseline."""
    run = recipe.start(
        LeNetTraining("suppress", 0.01, seed, "mnist5k", images=512, epochs=1), norm="suppress"
    )
    for norm in (run.model.norm1, run.model.norm2):
        norm.requires_grad_(False)
    rows = Rows()
    run.record(rows, 1, validate=True)
    check_same_training(rows.table().to_pandas(), training_rows("none", 0.01, seed))


@pytest.mark.parametrize("norm", TWINS)
def test_where_channels_are_above_the_threshold_the_variant_trains_otherwise_than_its_twin(norm):
    assert shares(norm).max() > 0
    own, twins = (training_rows(one, 1.0, 0) for one in (norm, TWINS[norm]))
    assert own["value"][0] != pytest.approx(twins["value"][0], rel=1e-2)


def test_only_the_steps_asked_for_are_taken():
    assert shares(steps=3).tolist() == shares().tolist()[:3]


def test_a_run_that_diverges_is_counted_until_then():
    frame = gate_activity(dataclasses.replace(CONFIG, norm="amplify", rate=4.0)).to_pandas()
    (step,) = frame.loc[frame["measure"] == "diverged", "step"]
    assert frame.loc[frame["measure"] == "share_above", "step"].tolist() == list(range(1, step))


def test_the_same_cell_gives_the_same_bits_and_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    first = gate_activity(CONFIG)
    assert torch.equal(torch.rand(2), expected)
    assert gate_activity(CONFIG).equals(first)


# Of version 1, in twenty-second parts, the channels; a mismatch means that the cell's meaning has changed: bump its
# version and measure anew.
FINGERPRINT = {"amplify": [0, 0, 5, 4, 8], "suppress": [0, 0, 0, 1, 1]}


@pytest.mark.parametrize("norm", FINGERPRINT)
def test_the_rows_of_this_version_have_not_moved(norm):
    assert gate_activity.version == 1
    found = shares(norm, steps=5) * 22
    assert found.tolist() == pytest.approx(FINGERPRINT[norm], abs=1.01)
