"""A sweep as a user types it, with a network of their own in the working directory."""

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

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
    run = normscope("sweep", *WORDS, cwd=folder)
    assert run.returncode == 0, run.stderr
    assert "0 cells found, 4 to run" in run.stderr
    assert "mine:HalvingNorm" in run.stdout
    return folder


@pytest.fixture
def copy(place, tmp_path) -> Path:
    """The same, for a test to change."""
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


def test_again_it_finds_every_run(place, normscope):
    before = {path: path.stat().st_mtime_ns for path in (place / "normscope-runs" / "cells").iterdir()}
    run = normscope("sweep", *WORDS, cwd=place)
    assert run.returncode == 0
    assert "4 cells found, none to run" in run.stderr
    assert {
        path: path.stat().st_mtime_ns for path in (place / "normscope-runs" / "cells").iterdir()
    } == before


def test_a_dry_run_lists_found_and_new_runs_and_writes_nothing(place, normscope):
    before = sorted(place.rglob("*.parquet"))
    run = normscope(
        "sweep", *WORDS[:-2], "--seeds", "2", "--probe", "spectrum,moments", "--dry-run", cwd=place
    )
    lines = run.stdout.splitlines()
    assert run.returncode == 0
    assert [sum(line.startswith(state) for line in lines) for state in ("found ", "new ")] == [4, 4]
    assert sorted(place.rglob("*.parquet")) == before


def test_an_edited_file_of_the_users_makes_new_runs(copy, normscope):
    with (copy / "mine.py").open("a") as file:
        file.write("# edited\n")
    run = normscope("sweep", *WORDS, "--dry-run", cwd=copy)
    assert "0 cells found, 4 to run" in run.stdout


def test_one_worker_gives_the_same_bits_as_two(copy, place, normscope):
    shutil.rmtree(copy / "normscope-runs")
    assert normscope("sweep", *WORDS, "--workers", "1", cwd=copy).returncode == 0
    assert table(copy).equals(table(place))


def test_report_builds_figure_and_page_again_without_the_users_module(copy, place, normscope):
    (copy / "mine.py").unlink()
    shutil.rmtree(copy / "normscope-runs" / "cells")
    (copy / "normscope-runs" / "report.html").unlink()
    (copy / "normscope-runs" / "sweep" / "figure.svg").unlink()
    assert normscope("report", copy / "normscope-runs").returncode == 0
    for name in ("report.html", "sweep/figure.svg"):
        assert (copy / "normscope-runs" / name).read_bytes() == (place / "normscope-runs" / name).read_bytes()


def test_a_sweep_is_replaced_by_one_that_contains_it_and_by_no_other(copy, normscope):
    longer = [*WORDS, "--epochs", "2"]
    refused = normscope("sweep", *longer, cwd=copy)
    assert (refused.returncode, len(refused.stderr.strip().splitlines())) == (2, 1)
    assert "holds another sweep" in refused.stderr
    assert normscope("sweep", *longer, "--name", "longer", cwd=copy).returncode == 0
    assert set(table(copy, "longer")["epochs"]) == {2}
    assert set(table(copy)["epochs"]) == {1}
    more = normscope("sweep", *WORDS, "--norm", "none", cwd=copy)
    assert more.returncode == 0
    assert "4 cells found, 2 to run" in more.stderr
    assert set(table(copy)["norm"]) == {"as-is", "mine:HalvingNorm", "none"}
    page = (copy / "normscope-runs" / "report.html").read_text()
    assert page.count("<h2 id=") == 2


def test_python_takes_the_same_words_and_finds_the_same_runs(place, monkeypatch):
    import normscope as ns

    monkeypatch.syspath_prepend(place)
    result = ns.run_sweep(
        "mine:plain", norm=["as-is", "mine:HalvingNorm"], lr=[0.1, 1e5], seeds=1, images=128, epochs=1,
        probe=["spectrum", "moments"], out=place / "normscope-runs",
    )  # fmt: skip
    pd.testing.assert_frame_equal(
        result.table.reset_index(drop=True), table(place), check_dtype=False, check_column_type=False
    )
    assert len(result.figure().axes) == 3
    assert not result.failures


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
        (["--network", "nosuch:make"], "cannot be imported"),
        (["--network", "mine:that_raises"], "there is no network today"),
        (["--network", "mine:of_colour"], "does not take the images"),
        ([], "Missing option '--network'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_gets_one_line_and_exit_two_before_anything_is_written(
    normscope, place, tmp_path, arguments, words
):
    shutil.copy(place / "mine.py", tmp_path)
    run = normscope("sweep", *arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert words in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
    assert run.stdout == ""
    assert not (tmp_path / "normscope-runs").exists()


def test_a_data_set_with_too_few_images_stops_a_reproduction_before_it_runs(tmp_path, normscope):
    folder = tmp_path / "mnist"
    folder.mkdir()
    digits = np.zeros((12, 28, 28), np.uint8)
    for part in ("train", "t10k"):
        head = struct.pack(">4I", 0x803, *digits.shape)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(head + digits.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">2I", 0x801, 12) + bytes(range(10)) + b"\0\1"
        )
    run = normscope(
        "reproduce",
        "chai2020.fig6",
        "--scale",
        "laptop",
        "--out",
        tmp_path / "runs",
        NORMSCOPE_DATA=str(tmp_path),
    )
    assert (run.returncode, len(run.stderr.strip().splitlines())) == (2, 1)
    assert "10,000 training images of mnist are wanted, but it has 12" in run.stderr
