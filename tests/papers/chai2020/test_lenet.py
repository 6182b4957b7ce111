"""The cells of Figs. 6 to 8, run for real on a few images."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from normscope import data
from normscope.papers.chai2020.cells import recipe
from normscope.papers.chai2020.cells.lenet import (
    EarlySpectrum,
    LeNetTraining,
    early_spectrum,
    train_lenet,
)

TRAINING = LeNetTraining("batch", 0.1, seed=0, data="mnist5k", images=256, epochs=2)
SPECTRUM = EarlySpectrum("batch", 0.1, seed=0, data="mnist5k", images=512)


def values(table, measure, **where):
    frame = table.to_pandas()
    for column, wanted in {"measure": measure, **where}.items():
        frame = frame[frame[column] == wanted]
    return frame["value"].tolist()


def test_the_same_cell_gives_the_same_bits_whatever_ran_before():
    torch.manual_seed(0)
    first = train_lenet(TRAINING)
    torch.manual_seed(99)
    torch.rand(7)
    np.random.default_rng(1).random(3)
    assert train_lenet(TRAINING).equals(first)


def test_a_cell_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    train_lenet(TRAINING)
    assert torch.equal(torch.rand(2), expected)


def test_another_seed_gives_another_run():
    assert not train_lenet(dataclasses.replace(TRAINING, seed=1)).equals(train_lenet(TRAINING))


@pytest.mark.parametrize("norm", ["none", "batch", "amplify", "suppress"])
def test_only_the_convolution_weights_take_the_swept_rate(norm):
    run = recipe.start(dataclasses.replace(TRAINING, norm=norm, rate=7.0), norm=norm)
    rates = {id(p): group["lr"] for group in run.optimizer.param_groups for p in group["params"]}
    found = {name: rates[id(p)] for name, p in run.model.named_parameters()}
    assert {name for name, rate in found.items() if rate == 7.0} == {"conv1.weight", "conv2.weight"}
    assert {rate for name, rate in found.items() if name not in ("conv1.weight", "conv2.weight")} == {0.1}
    assert not any(group["momentum"] or group["weight_decay"] for group in run.optimizer.param_groups)


def test_training_is_plain_gradient_descent_on_the_seeds_batches():
    """The whole cell against a few lines of PyTorch that share nothing with it but the data set."""
    digits = data.load("mnist5k")
    torch.manual_seed(TRAINING.seed)
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.BatchNorm2d(16), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(400, 10),
    )  # fmt: skip

    def prepared(images):
        pixels = torch.from_numpy(np.pad(np.asarray(images), ((0, 0), (0, 0), (2, 2), (2, 2)))).float() / 255
        return (pixels - 0.1307) / 0.3081

    x, y = prepared(digits.train_images[:256]), torch.from_numpy(np.array(digits.train_labels[:256])).long()
    test_x, test_y = prepared(digits.test_images), torch.from_numpy(np.array(digits.test_labels)).long()
    generator = torch.Generator().manual_seed(TRAINING.seed)
    errors = []
    for _ in range(2):
        for batch in torch.randperm(256, generator=generator).split(64):
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            model.zero_grad()
            loss.backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter -= 0.1 * parameter.grad
        model.eval()
        with torch.no_grad():
            errors.append((model(test_x).argmax(1) != test_y).double().mean().item())
        model.train()
    assert values(train_lenet(TRAINING), "validation_error") == pytest.approx(errors, abs=0.005)


def test_a_run_that_diverges_records_the_step_and_the_loss_and_keeps_the_epochs_before():
    table = train_lenet(dataclasses.replace(TRAINING, norm="none", rate=1e6))
    (loss,) = values(table, "diverged")
    assert not loss <= 1e3
    assert table.to_pandas().query("measure == 'diverged'")["step"].item() >= 2
    assert len(values(table, "validation_error")) < 2


def test_spectra_are_recorded_at_the_start_and_after_each_of_five_steps():
    frame = early_spectrum(SPECTRUM).to_pandas()
    assert sorted(frame["step"].unique()) == [0, 1, 2, 3, 4, 5]
    assert set(frame["layer"]) == {"conv1", "conv2"}
    assert (frame["value"] >= 0).all()


def test_the_spectrum_at_the_start_is_that_of_the_first_training_batch():
    digits = data.load("mnist5k")
    model = recipe.start(SPECTRUM, norm=SPECTRUM.norm).model.double().train()
    images = torch.nn.functional.pad(
        torch.from_numpy(np.array(digits.train_images[:64])).double() / 255, (2,) * 4
    )
    hidden = model.pool(torch.relu(model.norm1(model.conv1((images - 0.1307) / 0.3081))))
    patches = nn.functional.unfold(hidden, 5).transpose(1, 2).reshape(-1, 150)
    eigenvalues = torch.linalg.eigvalsh(patches.T @ patches / len(patches))
    table = early_spectrum(SPECTRUM)
    assert values(table, "lambda_max", step=0, layer="conv2") == pytest.approx(
        [eigenvalues[-1].item()], rel=1e-5
    )
    assert values(table, "lambda_min", step=0, layer="conv2") == pytest.approx(
        [eigenvalues[0].item()], rel=1e-3
    )


def test_measuring_spectra_leaves_no_trace_on_the_run(losses_of):
    """The steps' losses are those of the training cell's first steps, spectrum or not."""
    with_spectra = losses_of(early_spectrum, SPECTRUM)
    losses = losses_of(train_lenet, dataclasses.replace(TRAINING, images=512, epochs=1))
    assert losses[:5] == with_spectra


def test_a_run_that_diverges_keeps_its_last_finite_spectrum():
    frame = early_spectrum(dataclasses.replace(SPECTRUM, norm="none", rate=1e8)).to_pandas()
    step = int(frame.query("measure == 'diverged'")["step"].item())
    assert step <= 5
    largest = frame.query("measure == 'lambda_max' and layer == 'conv2'")
    assert sorted(largest["step"]) == list(range(step))
    assert math.isfinite(largest.set_index("step")["value"].loc[0])


def test_amplify_and_suppress_part_from_each_other_only_through_their_gates():
    """At the start few channels have power above 1: Suppress is Baseline there, Amplify BatchNorm."""
    spectra = {
        norm: values(
            early_spectrum(dataclasses.replace(SPECTRUM, norm=norm)), "power", step=0, layer="conv2"
        )[0]
        for norm in ("none", "batch", "amplify", "suppress")
    }
    assert spectra["suppress"] <= spectra["none"] * (1 + 1e-12)
    assert spectra["amplify"] >= spectra["batch"] * (1 - 1e-12)


FINGERPRINTS = {
    # Of version 1; a mismatch means that the cells' meaning has changed: bump their version and measure anew.
    "train_loss": [2.09243, 1.46878],
    "lambda_max": [26.7327],
}


def test_the_rows_of_this_version_have_not_moved():
    losses = values(train_lenet(TRAINING), "train_loss")
    largest = values(early_spectrum(SPECTRUM), "lambda_max", step=5, layer="conv2")
    assert (train_lenet.version, early_spectrum.version) == (1, 1)
    assert losses == pytest.approx(FINGERPRINTS["train_loss"], rel=2e-3)
    assert largest == pytest.approx(FINGERPRINTS["lambda_max"], rel=2e-3)
