"""A sweep as a user types it, with a network of their own in the working directory."""

import json
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

pytestmark = pytest.mark.xdist_group("sweep")  # one process of xdist makes the shared run
NETWORKS = Path(__file__).parents[1] / "support" / "own_networks.py"
WORDS = (
    "--network", "mine:plain", "--norm", "as-is,mine:HalvingNorm", "--lr", "0.1,100000", "--seeds", "1",
    "--images", "128", "--epochs", "1", "--probe", "spectrum,moments",
)  # fmt: skip


def table(folder: Path, name: str = "sweep") -> pd.DataFrame:
    return pd.read_parquet(folder / "normscope-runs" / name / "data.parquet")


@pytest.fixture(scope="module")
def place(tmp_path_factory, normscope) -> Path:
    """A working directory with a module of the user's own, and a finished sweep."""
    folder = tmp_path_factory.mktemp("sweep")
    shutil.copy(NETWORKS, folder / "mine.py")
    run = normscope("sweep", *WORDS, "--workers", "1", cwd=folder)
    assert run.returncode == 0, run.stderr
    assert "0 cells found, 4 to run" in run.stderr
    assert "mine:HalvingNorm" in run.stdout
    return folder


@pytest.fixture
def command(place, command, monkeypatch):
    """Runs the command in that working directory or another."""
    monkeypatch.syspath_prepend(place)
    yield lambda *arguments, cwd=place: command(*arguments, cwd=cwd)
    sys.modules.pop("mine", None)


@pytest.fixture
def copy(place, tmp_path) -> Path:
    """The same directory, for a test to change."""
    shutil.copytree(place, tmp_path / "copy")
    return tmp_path / "copy"


def test_it_writes_table_figure_and_page(place):
    rows = table(place)
    runs = rows.drop_duplicates(["norm", "rate"])
    assert sorted(zip(runs["norm"], runs["rate"], strict=True)) == [
        ("as-is", 0.1), ("as-is", 1e5), ("mine:HalvingNorm", 0.1), ("mine:HalvingNorm", 1e5),
    ]  # fmt: skip
    assert {"validation_error", "diverged", "lambda_max", "lambda_min", "output_mean"} <= set(rows["measure"])
    assert set(rows.loc[rows["measure"] == "diverged", "rate"]) == {1e5}
    folder = place / "normscope-runs"
    assert (folder / "sweep" / "figure.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "report.html").read_text()
    assert "mine:plain on mnist5k" in page
    assert "A diverged run counts as chance error" in page
    assert json.loads((folder / "scorecard.json").read_text()) == []


def test_again_it_finds_every_run(place, command):
    before = {path: path.stat().st_mtime_ns for path in (place / "normscope-runs" / "cells").iterdir()}
    status, _, words = command("sweep", *WORDS)
    assert status == 0
    assert "4 cells found, none to run" in words
    assert {
        path: path.stat().st_mtime_ns for path in (place / "normscope-runs" / "cells").iterdir()
    } == before


def test_a_worker_gives_the_bits_that_the_cell_gives_here(place, monkeypatch):
    """A worker runs several cells in a row, and imports the user's module on its own."""
    from normscope.sweep import Sweep
    from normscope.sweep.training_cell import train_network

    monkeypatch.syspath_prepend(place)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    asked = Sweep.of(
        "mine:plain",
        "as-is,mine:HalvingNorm",
        lr=0.1,
        seeds=1,
        images=128,
        epochs=1,
        probe="spectrum,moments",
    )
    for run in asked.runs():
        rows = train_network(run).to_pandas()
        stored = table(place).query("norm == @run.norm and rate == @run.rate")
        assert rows["value"].tolist() == stored["value"].tolist()
        assert rows["measure"].tolist() == stored["measure"].tolist()
    torch.set_num_threads(before)
    sys.modules.pop("mine", None)


def test_a_dry_run_counts_the_runs_and_a_verbose_one_lists_them_and_neither_writes_anything(place, command):
    before = sorted(place.rglob("*.parquet"))
    dry = ("sweep", *WORDS, "--seeds", "2", "--dry-run")
    status, words, _ = command(*dry)
    assert status == 0
    count, _ = words.splitlines()
    assert " ".join(count.split()).startswith("sweep 4 found 4 new about ")
    lines = command(*dry, "--verbose")[1].splitlines()
    assert [sum(line.startswith(state) for line in lines) for state in ("found ", "new ")] == [4, 4]
    assert lines[-2:] == words.splitlines()
    assert sorted(place.rglob("*.parquet")) == before


def test_report_builds_figure_and_page_again_without_the_users_module(copy, place, command, monkeypatch):
    shutil.rmtree(copy / "normscope-runs" / "cells")
    (copy / "normscope-runs" / "report.html").unlink()
    (copy / "normscope-runs" / "sweep" / "figure.svg").unlink()
    monkeypatch.setitem(sys.modules, "mine", None)  # importing it fails
    status, _, _ = command("report", copy / "normscope-runs")
    assert status == 0
    for name in ("report.html", "sweep/figure.svg"):
        assert (copy / "normscope-runs" / name).read_bytes() == (place / "normscope-runs" / name).read_bytes()


@pytest.mark.parametrize(
    ("change", "contained"),
    [
        ((), True),
        (("--norm", "none"), True),
        (("--seeds", "2"), True),
        (("--lr", "0.5"), True),
        (("--epochs", "2"), False),
        (("--images", "192"), False),
        (("--probe",), False),
        (("--batch", "32"), False),
    ],
    ids=str,
)
def test_a_sweep_is_replaced_by_one_that_contains_it_and_by_no_other(command, change, contained):
    words = WORDS[:-2] if change[:1] == ("--probe",) else (*WORDS, *change)
    status, _, errors = command("sweep", *words, "--dry-run")
    assert status == (0 if contained else 2)
    if not contained:
        assert "holds another sweep" in errors
        assert "--name" in errors
        assert len(errors.splitlines()) == 1
        assert command("sweep", *words, "--name", "another", "--dry-run")[0] == 0


def test_python_takes_the_same_words_and_finds_the_same_runs_and_two_sweeps_share_a_page(copy, monkeypatch):
    import normscope as ns

    monkeypatch.syspath_prepend(copy)
    result = ns.run_sweep(
        "mine:plain", norm=["as-is", "mine:HalvingNorm"], lr=[0.1, 1e5], seeds=1, images=128, epochs=1,
        probe=["spectrum", "moments"], out=copy / "normscope-runs", name="another",
    )  # fmt: skip
    assert result.table["value"].equals(table(copy)["value"])
    assert result.table["cell"].tolist() == table(copy)["cell"].tolist()
    assert (
        len(result.figure().axes) == 3 + 2 * 2 + 1
    )  # by rate; by depth, a norm and probe each; a bar of colours
    assert not result.failures
    page = (copy / "normscope-runs" / "report.html").read_text()
    assert [page.count(f'<section class="experiment" id="{name}"') for name in ("sweep", "another")] == [1, 1]
    sys.modules.pop("mine", None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--network", "lenet", "--lr", "a:b"], "low:high:count"),
        (["--network", "lenet", "--lr", "10:0.01:7"], "low < high"),
        (["--network", "lenet", "--lr", "nan"], "positive, finite"),
        (["--network", "lenet", "--lr=-1"], "positive, finite"),
        (["--network", "letne"], "did you mean lenet"),
        (["--network", "lenet", "--norm", "bacth"], "did you mean batch"),
        (["--network", "lenet", "--seeds", "0"], "seeds must be a whole number"),
        (["--network", "lenet", "--name", "../up"], "sweep's name"),
        (["--network", "lenet", "--workers", "0"], "1 or more"),
        (
            ["--network", "lenet", "--images", "5000"],
            "5,000 training images of mnist5k are wanted, but it has 4,000",
        ),
        (["--network", "resnet(depth='deep')"], "depth must be a whole number"),
        (["--network", "nosuch:make"], "cannot be imported"),
        (["--network", "mine:that_raises"], "there is no network today"),
        (["--network", "mine:of_colour"], "does not take the images"),
        ([], "Missing option '--network'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_gets_one_line_and_exit_two_before_anything_runs(command, tmp_path, arguments, words):
    status, output, errors = command("sweep", *arguments, cwd=tmp_path)
    assert status == 2
    assert words in errors
    assert len(errors.strip().splitlines()) == 1
    assert output == ""
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".parquet", ".json", ".html")]


def test_a_data_set_with_too_few_images_stops_a_reproduction_before_it_runs(tmp_path, command, monkeypatch):
    folder = tmp_path / "mnist"
    folder.mkdir()
    digits = np.zeros((12, 28, 28), np.uint8)
    for part in ("train", "t10k"):
        head = struct.pack(">4I", 0x803, *digits.shape)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(head + digits.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">2I", 0x801, 12) + bytes(range(10)) + b"\0\1"
        )
    monkeypatch.setenv("NORMSCOPE_DATA", str(tmp_path))
    status, _, errors = command("reproduce", "chai2020.fig6", "--scale", "laptop", "--out", tmp_path / "runs")
    assert (status, len(errors.strip().splitlines())) == (2, 1)
    assert "10,000 training images of mnist are wanted, but it has 12" in errors
    assert not list((tmp_path / "runs").rglob("*.parquet"))


def test_what_surgery_leaves_alone_is_one_line_of_the_terminal(normscope, tmp_path):
    (tmp_path / "own.py").write_text(
        "from torch import nn\n"
        "class NormAct(nn.BatchNorm2d):\n"
        "    def __init__(self, C):\n"
        "        super().__init__(C)\n"
        "        self.act = nn.ReLU()\n"
        "def net(in_channels, classes):\n"
        "    norms = nn.Conv2d(in_channels, 2, 3), nn.BatchNorm2d(2), NormAct(2)\n"
        "    return nn.Sequential(*norms, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, classes))\n"
    )
    words = (
        "--network",
        "own:net",
        "--norm",
        "batch",
        "--lr",
        "0.1",
        "--seeds",
        "1",
        "--images",
        "64",
        "--dry-run",
    )
    run = normscope("sweep", *words, cwd=tmp_path)
    assert run.returncode == 0
    (line,) = run.stderr.splitlines()
    assert line.startswith(
        "normscope: warning: replace_norms left as it is '2' (NormAct: it has modules of its own"
    )
