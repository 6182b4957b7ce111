"""The cell of a sweep, run on a few images."""

import dataclasses
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import own_networks
import pytest
import torch
from torch import nn

import normscope as ns
from normscope import data, training
from normscope.papers.chai2020.cells.lenet import EarlySpectrum, LeNetTraining, early_spectrum, train_lenet
from normscope.sweep import Sweep
from normscope.sweep.training_cell import train_network


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(network="lenet", **words):
    words = {"lr": 0.1, "seeds": 1, "images": 512, "epochs": 1} | words
    return next(Sweep.of(network, **words).runs())


def values(table, measure, **where):
    frame = table.to_pandas()
    for column, wanted in {"measure": measure, **where}.items():
        frame = frame[frame[column] == wanted]
    return frame["value"].tolist()


def test_with_the_papers_settings_it_is_the_papers_run_bit_for_bit():
    """Chai et al.'s recipe is written independently, in papers/chai2020."""
    table = train_network(run(norm="suppress", lr=0.5, lr_for="convolutions", epochs=2))
    paper = train_lenet(LeNetTraining("suppress", 0.5, seed=0, data="mnist5k", images=512, epochs=2))
    for measure in ("train_loss", "validation_error"):
        assert values(table, measure) == values(paper, measure)
        assert len(values(paper, measure)) == 2


def test_its_spectra_are_those_of_the_papers_early_steps():
    table = train_network(run(norm="batch", lr=0.5, lr_for="convolutions", probe="spectrum"))
    paper = early_spectrum(EarlySpectrum("batch", 0.5, seed=0, data="mnist5k", images=512))
    for measure, digits in (("lambda_max", 1e-4), ("power", 1e-4), ("lambda_min", 2e-3)):
        for step in (0, 5):
            expected = values(paper, measure, step=step, layer="conv2")
            assert values(table, measure, step=step, layer="conv2") == pytest.approx(expected, rel=digits)


def test_a_users_network_with_dropout_is_trained_as_by_a_plain_loop():
    wanted = run("own_networks:normed", optimizer="sgd(momentum=0.9, weight_decay=0.01)", lr=0.05)
    digits = data.load("mnist5k")
    x = (torch.from_numpy(np.array(digits.train_images[:512])).float() / 255 - 0.1307) / 0.3081
    y = torch.from_numpy(np.array(digits.train_labels[:512])).long()
    losses = []
    with training.seeded(0):
        model = own_networks.normed()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
        for batch in torch.randperm(512, generator=torch.Generator().manual_seed(0)).split(64):
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert values(train_network(wanted), "train_loss") == pytest.approx([math.fsum(losses) / 8], rel=1e-4)


def test_the_same_run_gives_the_same_bits_whatever_ran_before_and_leaves_the_generators_alone():
    wanted = run("own_networks:normed", probe="spectrum,moments")
    first = train_network(wanted)
    torch.manual_seed(99)
    expected = torch.rand(2)
    torch.manual_seed(99)
    assert train_network(wanted).equals(first)
    assert torch.equal(torch.rand(2), expected)
    assert not train_network(dataclasses.replace(wanted, seed=1)).equals(first)


def test_what_a_users_module_draws_when_it_is_imported_does_not_reach_the_run(tmp_path, monkeypatch):
    text = "import torch\nnoise = torch.rand(100)\nfrom own_networks import drawing_everywhere as make\n"
    (tmp_path / "drawing_module.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    first = train_network(run("drawing_module:make"))
    assert torch.equal(torch.rand(2), expected)
    assert train_network(run("drawing_module:make")).equals(first)
    sys.modules.pop("drawing_module")


def test_probes_do_not_change_the_run():
    plain, probed = (
        train_network(run("own_networks:normed", probe=probe)) for probe in ((), ("spectrum", "moments"))
    )
    assert values(plain, "train_loss") == values(probed, "train_loss")
    assert values(plain, "validation_error") == values(probed, "validation_error")
    assert set(plain.to_pandas()["measure"]) == {"train_loss", "validation_error"}


@pytest.mark.parametrize(
    ("images", "epochs", "steps"), [(512, 2, [0, 5, 16]), (320, 1, [0, 5]), (128, 1, [0, 2])]
)
def test_probes_are_read_at_the_start_after_five_steps_and_at_the_end(images, epochs, steps):
    frame = train_network(run(probe="spectrum", images=images, epochs=epochs)).to_pandas()
    assert sorted(frame.loc[frame["measure"] == "lambda_max", "step"]) == sorted(steps * 3)


def test_moments_at_the_start_are_those_of_the_first_training_batch():
    wanted = run(probe="moments", norm="none", images=128)
    digits = data.load("mnist5k")
    x = nn.functional.pad(torch.from_numpy(np.array(digits.train_images[:64])).float() / 255, (2,) * 4)
    with training.seeded(0):
        model = ns.networks.lenet(norm="none")
    y = model.conv1((x - 0.1307) / 0.3081).detach().double()
    table = train_network(wanted)
    assert values(table, "output_mean", step=0, layer="conv1") == pytest.approx(
        y.mean((0, 2, 3)).tolist(), rel=1e-4
    )
    assert values(table, "output_variance", step=0, layer="conv1") == pytest.approx(
        y.var((0, 2, 3), correction=0).tolist(), rel=1e-4
    )
    assert set(values(table, "output_nonfinite")) == {0.0}


def test_a_run_that_diverges_says_where_and_keeps_what_was_read_before():
    table = train_network(run(norm="none", lr=1e6, probe="spectrum"))
    frame = table.to_pandas()
    (loss,) = values(table, "diverged")
    assert not loss <= 1e3
    step = int(frame.loc[frame["measure"] == "diverged", "step"].item())
    assert step <= 5
    assert set(frame.loc[frame["measure"] == "lambda_max", "step"]) == {0}
    assert values(table, "validation_error") == []


def test_editing_a_users_file_makes_another_cell(tmp_path, monkeypatch):
    source = Path(__file__).parents[1] / "support" / "own_networks.py"
    shutil.copy(source, tmp_path / "edited_networks.py")
    monkeypatch.syspath_prepend(tmp_path)
    network, norm = run("edited_networks:plain"), run("lenet", norm="edited_networks:HalvingNorm")
    before = [train_network.cell(wanted).key(str) for wanted in (network, norm, run("lenet"))]
    with (tmp_path / "edited_networks.py").open("a") as file:
        file.write("# edited\n")
    after = [train_network.cell(wanted).key(str) for wanted in (network, norm, run("lenet"))]
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, False, True]
    sys.modules.pop("edited_networks", None)


def test_a_cell_says_how_many_images_it_needs():
    assert train_network.cell(run(images=512)).images == 512
    assert train_network.cell(run(images=None)).images == 64


def test_the_rows_of_this_version_have_not_moved():
    """A mismatch means that the rows have changed their meaning: bump the version and measure again."""
    table = train_network(run("resnet(depth=8)", norm="batch", images=64, probe="spectrum"))
    assert train_network.version == 1
    assert values(table, "train_loss") == pytest.approx(FINGERPRINT["train_loss"], rel=2e-3)
    assert values(table, "lambda_max", step=1, layer="blocks.0.first.conv") == pytest.approx(
        FINGERPRINT["lambda_max"], rel=2e-3
    )


FINGERPRINT = {"train_loss": [2.51443], "lambda_max": [32.456]}
