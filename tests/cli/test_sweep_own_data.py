"""A sweep as a user types it, on data of their own in the working directory."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

pytestmark = pytest.mark.xdist_group("own data")  # one process of xdist makes the shared run
MODULE = '''
import numpy as np
from torch import nn

def load():
    """Rows of a file; says so each time that it is read."""
    with open("calls.txt", "a") as file:
        file.write("loaded\\n")
    x, y = np.load("x.npy"), np.load("y.npy")
    return (x[:64], y[:64]), (x[64:], y[64:])

def net(features, outputs):
    return nn.Sequential(nn.Linear(features, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, outputs))
'''
WORDS = (
    "--network", "mine.py:net", "--data", "mine.py:load", "--norm", "as-is,none", "--lr", "0.1,1e9", "--seeds", "1",
    "--batch", "16", "--epochs", "2",
)  # fmt: skip


def write_numbers(folder, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(2, 9, (96, 5))
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", x[:, 0] / 9 + rng.normal(0, 0.1, 96))


@pytest.fixture(scope="module")
def place(tmp_path_factory, normscope) -> Path:
    """A working directory with a module and files of the user's own, and a finished sweep of a regression."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.py").write_text(MODULE)
    write_numbers(folder)
    run = normscope("sweep", *WORDS, "--workers", "1", cwd=folder)
    assert run.returncode == 0, run.stderr
    assert "mine:load: inputs of 5 (floats, standardized per feature" in run.stderr
    assert "0 cells found, 4 to run" in run.stderr
    assert "least loss" in run.stdout
    return folder


@pytest.fixture
def copy(place, tmp_path, monkeypatch) -> Path:
    """The same directory, for a test to change; its modules can be imported."""
    shutil.copytree(place, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.syspath_prepend(tmp_path / "copy")
    yield tmp_path / "copy"
    sys.modules.pop("mine", None)


def table(folder, name="sweep") -> pd.DataFrame:
    return pd.read_parquet(folder / "normscope-runs" / name / "data.parquet")


def calls(folder):
    return (folder / "calls.txt").read_text().count("loaded")


def counts(command, *words):
    """How many runs a dry run finds, and how many are new."""
    status, output, errors = command("sweep", *words, "--dry-run")
    assert status == 0, errors
    _, found, _, new, _, *_ = output.splitlines()[-2].split()
    return int(found), int(new)


def test_the_loader_runs_once_and_no_worker_runs_it(place):
    assert calls(place) == 1


def test_it_writes_the_rows_the_figure_and_the_words_of_a_regression(place):
    rows = table(place)
    assert {"train_loss", "validation_loss", "diverged"} == set(rows["measure"])
    assert set(rows["loss"]) == {"mse"}
    assert rows["data"].str.fullmatch(r"mine:load#[0-9a-f]{16}").all()
    assert len(rows[rows["measure"] == "validation_loss"]) == 2 * 2
    folder = place / "normscope-runs"
    assert (folder / "sweep" / "figure.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "report.html").read_text()
    assert "mine:net on mine:load: validation loss by learning rate" in page
    assert "64 training and 32 validation examples; content" in page
    assert "sgd on mse" in page


def test_again_it_finds_every_run(copy, command):
    assert counts(command, *WORDS) == (4, 0)
    assert calls(copy) == 2
    status, output, _ = command("sweep", *WORDS, "--dry-run")
    assert "mine:load: inputs of 5" in output
    assert status == 0


def test_report_draws_it_again_without_the_users_code_and_data(copy, place, command, monkeypatch, tmp_path):
    for name in ("mine.py", "x.npy", "y.npy"):
        (copy / name).unlink()
    shutil.rmtree(copy / "normscope-runs" / "cells")
    (copy / "normscope-runs" / "sweep" / "figure.svg").unlink()
    status, _, errors = command("report", copy / "normscope-runs", NORMSCOPE_CACHE=tmp_path / "empty")
    assert status == 0, errors
    for name in ("report.html", "sweep/figure.svg"):
        assert (copy / "normscope-runs" / name).read_bytes() == (place / "normscope-runs" / name).read_bytes()


def test_other_content_means_other_runs_and_takes_the_place_of_the_old(copy, command):
    before = table(copy)
    write_numbers(copy, seed=1)
    assert counts(command, *WORDS) == (0, 4)
    assert counts(command, *WORDS, "--name", "another") == (0, 4)
    assert command("sweep", *WORDS, "--workers", "1")[0] == 0
    after = table(copy)
    assert set(before["cell"]).isdisjoint(after["cell"])
    assert set(before["data"]).isdisjoint(after["data"])
    write_numbers(copy)
    assert counts(command, *WORDS) == (4, 0), "the old runs are still there"


def test_an_edit_that_leaves_the_content_alone_leaves_the_runs_of_other_networks_alone(copy, command):
    """The module holds the network, too, so its own runs are made again."""
    (copy / "yours.py").write_text(MODULE)
    words = (*WORDS[:2], "--data", "yours:load", *WORDS[4:])
    pinned = "yours:load#" + table(copy)["data"].iloc[0].partition("#")[2]
    assert counts(command, *words, "--name", "yours") == (0, 4), "another name of the data is another run"
    (copy / "mine.py").write_text(MODULE + "# a remark\n")
    assert counts(command, *WORDS) == (0, 4)
    (copy / "mine.py").write_text(MODULE)
    (copy / "yours.py").write_text(MODULE + "# a remark\n")
    status, output, _ = command("sweep", *words, "--name", "yours", "--dry-run", "--verbose")
    assert status == 0
    assert pinned in output
    sys.modules.pop("yours", None)


def test_python_takes_the_same_words_and_sees_an_edit_of_the_same_process(copy):
    import normscope as ns

    words = {"norm": ["as-is", "none"], "lr": [0.1, 1e9], "seeds": 1, "batch": 16, "epochs": 2}
    result = ns.run_sweep("mine:net", data="mine:load", out=copy / "normscope-runs", name="python", **words)
    assert result.table["cell"].tolist() == table(copy)["cell"].tolist()
    assert len(result.figure().axes) == 1
    text = MODULE.replace("y[:64])", "2 * y[:64])")
    (copy / "mine.py").write_text(text)
    edited = ns.run_sweep("mine:net", data="mine:load", out=copy / "normscope-runs", name="python", **words)
    assert set(edited.table["data"]).isdisjoint(result.table["data"])


def test_a_folder_of_pictures_is_swept_with_the_lenet(tmp_path, command, monkeypatch):
    rng = np.random.default_rng(0)
    for label, level in (("dark", 60), ("light", 180)):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(20):
            pixels = rng.normal(level, 20, (9, 14, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / label / f"{number:02}.png")
    words = ("--network", "lenet", "--data", "images:pictures", "--lr", "0.1", "--seeds", "1", "--batch", "8")
    status, output, errors = command("sweep", *words, cwd=tmp_path)
    assert status == 0, errors
    assert "inputs of 3×9×14 (8-bit pixels, standardized per channel" in errors
    assert "2 classes, 32 training and 8 validation examples" in errors
    rows = table(tmp_path)
    assert set(rows["image_size"]) == {32}
    assert rows.loc[rows["measure"] == "validation_error", "value"].iloc[-1] == 0
    assert "0.00%" in output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--data", "mine:lod"), "did you mean load"),
        (("--data", "mine:absent"), "cannot be loaded: FileNotFoundError"),
        (("--data", "images:nowhere"), "is not a folder"),
        (("--data", "idx:."), "holds no train-images-idx3-ubyte"),
        (("--data", "mine:load"), "the inputs of mine:load, 5: name a network of your own"),
        (("--data", "mine:load", "--loss", "cross_entropy"), "has a regression target"),
        (("--data", "mine:load", "--loss", "msee"), "did you mean mse"),
        (("--data", "mine:load", "--lr", "0"), "positive, finite"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_data_and_losses_get_one_line_and_exit_two(copy, command, words, sentence):
    (copy / "mine.py").write_text(MODULE + "\ndef absent():\n    return np.load('absent.npy')\n")
    status, output, errors = command("sweep", "--network", "lenet", *words, "--name", "bad")
    assert status == 2
    assert sentence in errors
    assert len([line for line in errors.splitlines() if line.startswith("normscope: ")]) == 1
    if "0" in words:
        assert calls(copy) == 1, "what can be refused without the data is refused first"
    assert "Traceback" not in errors
    assert output == ""
