"""The main job as a user types it, on real digits."""

import dataclasses
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from normscope.papers import catalogue
from normscope.protocol import Claim, ClaimRule, Verdict

pytestmark = pytest.mark.xdist_group("finished")  # one process of xdist makes the shared run
FIG6 = ("reproduce", "chai2020.fig6")


def table(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "chai2020.fig6" / "data.parquet")


def cells(out: Path) -> dict[Path, int]:
    """The files of finished cells, each with its time of change."""
    return {path: path.stat().st_mtime_ns for path in (out / "cells").glob("*.parquet")}


@pytest.fixture
def partly(finished, tmp_path) -> Path:
    """A copy of the finished run that lacks the last twelve cells."""
    out = shutil.copytree(finished, tmp_path / "runs")
    for path in sorted(cells(out))[-12:]:
        path.unlink()
    return out


def test_it_writes_scorecard_page_table_and_figures(finished):
    rows = json.loads((finished / "scorecard.json").read_text())
    assert {row["claim"] for row in rows} == {"amplify-equals-batchnorm", "amplified", "suppress-stays"}
    assert all(row["experiment"] == "chai2020.fig6" and row["scale"] == "quick" for row in rows)
    seeds = table(finished)["seed"].nunique()
    for row in rows:
        assert row["holds"] is Verdict(row["verdict"]).holds
        assert set(row["interval"]) <= set(row["measured"]) != set()
        assert row["seeds"] == seeds
    assert "chai2020.fig6" in (finished / "report.html").read_text()
    assert (finished / "chai2020.fig6" / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (finished / "chai2020.fig6" / "figure.svg").read_bytes()
    assert set(table(finished)["norm"]) == {"none", "batch", "amplify", "suppress"}


def test_again_it_finds_every_cell_and_trains_nothing(finished, command):
    before = cells(finished)
    status, _, words = command(*FIG6, "--out", finished)
    assert status == 0
    assert f"{len(before)} cells found, none to run" in words
    assert cells(finished) == before


def test_a_dry_run_counts_each_experiments_cells_and_writes_nothing(finished, partly, command, tmp_path):
    before = sorted(partly.rglob("*"))
    status, output, _ = command(*FIG6, "--out", partly, "--dry-run")
    (line, estimate) = output.splitlines()
    assert status == 0
    found = len(cells(finished)) - 12
    assert re.fullmatch(rf"chai2020\.fig6 +{found} found +12 new +about \d+ s *", line)
    assert estimate.startswith(f"{found} cells found, 12 to run: about ")
    assert "disk" in estimate
    assert sorted(partly.rglob("*")) == before
    assert command(*FIG6, "--dry-run", cwd=tmp_path)[0] == 0
    assert not (tmp_path / "normscope-runs").exists()


def test_a_verbose_dry_run_lists_the_cells_first(finished, partly, command):
    _, short, _ = command(*FIG6, "--out", partly, "--dry-run")
    _, output, _ = command(*FIG6, "--out", partly, "--dry-run", "--verbose")
    lines = output.splitlines()
    assert lines[-2:] == short.splitlines()
    assert sum(line.startswith("new ") for line in lines) == 12
    assert sum(line.startswith("found ") for line in lines) == len(cells(finished)) - 12
    assert len(lines) == len(cells(finished)) + 2


def test_a_dry_run_of_experiments_that_share_cells_says_so(command, tmp_path):
    output = command("reproduce", "chai2020.fig7", "chai2020.fig8", "--out", tmp_path, "--dry-run")[1]
    *each, shared, total = output.splitlines()
    counts = [int(re.search(r"(\d+) new", line)[1]) for line in each]
    in_all = int(re.search(r"(\d+) to run", total)[1])
    assert len(counts) == 2
    assert shared.endswith(f"the lines above count {sum(counts) - in_all} of them again.")


def test_a_dry_run_needs_no_data(normscope, tmp_path):
    run = normscope(
        "reproduce", "chai2020.fig8", "--scale", "paper", "--dry-run",
        NORMSCOPE_DATA="", NORMSCOPE_CACHE=str(tmp_path),
    )  # fmt: skip
    assert run.returncode == 0
    assert re.search(r"\d+ to run", run.stdout.splitlines()[-1])
    assert "mnist is not here" in run.stdout.splitlines()[-2]
    assert list(tmp_path.iterdir()) == []


def test_interrupted_half_way_it_runs_only_the_rest_with_one_worker_to_the_same_bits(
    finished, partly, command
):
    before = cells(partly)
    driver = subprocess.Popen(
        [sys.executable, "-m", "normscope", *FIG6, "--out", str(partly), "--workers", "2"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Started in the background, as by some CI runners, a process inherits that interrupts are ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    end = time.monotonic() + 120
    while len(cells(partly)) < len(before) + 2 and time.monotonic() < end:
        time.sleep(0.01)
    driver.send_signal(signal.SIGINT)
    _, words = driver.communicate(timeout=30)
    done = cells(partly)
    assert len(before) + 2 <= len(done) < len(cells(finished))
    assert driver.returncode == 130
    assert "the same command goes on" in words.splitlines()[-1]
    assert "Traceback" not in words
    status, _, words = command(*FIG6, "--out", partly, "--workers", "1")
    assert status == 0
    assert f"{len(done)} cells found, {len(cells(finished)) - len(done)} to run" in words
    assert done.items() <= cells(partly).items()
    assert table(partly).equals(table(finished))


def test_a_failed_cell_is_listed_and_the_exit_status_is_one(finished, command, tmp_path):
    out = shutil.copytree(finished, tmp_path / "runs")
    next((out / "cells").glob("*.parquet")).unlink()
    status, output, _ = command(*FIG6, "--out", out, "--cell-timeout", "0.001")
    assert status == 1
    assert "1 cell failed: stopped after 0.001 s" in output
    assert "stopped after 0.001 s" in (out / "report.html").read_text()
    assert len(json.loads((out / "scorecard.json").read_text())) == 3


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [(Verdict.HOLDS, 0), (Verdict.UNDECIDED, 0), (Verdict.NOT_JUDGED, 0), (Verdict.FAILS, 3)],
)
def test_strict_exits_with_three_only_when_a_claim_does_not_hold(
    finished, command, monkeypatch, tmp_path, verdict, expected
):
    def judge(rule, table):
        return Claim(rule.id, rule.text, rule.source, rule.expected, {}, verdict)

    monkeypatch.setattr(ClaimRule, "__call__", judge)
    out = shutil.copytree(finished, tmp_path / "runs")
    assert command(*FIG6, "--out", out, "--strict")[0] == expected
    assert command(*FIG6, "--out", out)[0] == 0


def test_an_alias_runs_the_experiment_that_shows_it_and_says_so(command, tmp_path, monkeypatch):
    entries = [
        dataclasses.replace(entry, aliases=("chai2020.table4",)) if entry.id == "chai2020.fig6" else entry
        for entry in catalogue.ENTRIES
    ]
    monkeypatch.setattr(catalogue, "ENTRIES", entries)
    status, out, words = command("reproduce", "chai2020.table4", "--dry-run", "--out", tmp_path)
    assert status == 0
    assert words == "chai2020.table4 is shown by chai2020.fig6 (Fig. 6).\n"
    assert out.startswith("chai2020.fig6 ")
    assert command("reproduce", "chai2020.fig6", "--dry-run", "--out", tmp_path) == (0, out, "")


def test_python_names_the_experiments_of_a_paper():
    import normscope as ns
    from normscope.errors import InputError

    with pytest.raises(InputError, match=r"several experiments.*chai2020\.fig6"):
        ns.reproduce("chai2020")


def test_python_gives_the_same_result(finished):
    import normscope as ns

    result = ns.reproduce("chai2020.fig6", out=finished)
    assert [claim.holds for claim in result.claims] == [
        row["holds"] for row in json.loads((finished / "scorecard.json").read_text())
    ]
    assert len(result.table) == len(table(finished))
    assert result.figure().axes
    assert not result.failures


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["reproduce", "chai2020.fig66"], "did you mean chai2020.fig6"),
        (["reproduce", "chai2020.fig6", "--scale", "labtop"], "did you mean laptop"),
        (["reproduce", "chai2020.fig6", "--workers", "0"], "1 or more"),
        (["reproduce", "chai2020.fig6", "--workers", "two"], "Invalid value for '--workers'"),
        (["reproduce", "chai2020.fig6", "--cell-timeout", "-1"], "not positive"),
        (["reproduce", "chai2020.fig6", "--engine", "locl"], "did you mean local"),
        (["reproduce"], "Missing argument"),
        (["reproduce", "chai2020.fig6", "--wrokers", "1"], "No such option"),
        (["reproduce", "chai2020.fig6", "--out", "file"], "cannot write"),
        (["list", "chia2020"], "did you mean chai2020"),
        (["report", "."], "holds no results"),
        (["report", "nowhere"], "holds no results"),
        (["clean", "."], "holds no results"),
        (["data", "fetch", "mnits"], "did you mean mnist"),
        (["nosuch"], "No such command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_gets_one_line_and_exit_two(command, tmp_path, arguments, words):
    (tmp_path / "file").touch()
    status, output, errors = command(*arguments, cwd=tmp_path)
    assert status == 2
    assert words in errors
    assert len(errors.strip().splitlines()) == 1
    assert output == ""


@pytest.mark.parametrize("damage", ["truncated", "foreign"])
def test_damaged_data_files_get_one_line_and_exit_two(command, tmp_path, damage):
    folder = tmp_path / "mnist"
    folder.mkdir()
    head = b"\x00\x00\x08\x03\x00\x00\xea\x60\x00\x00\x00\x1c\x00\x00\x00\x1c\x00"
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte").write_bytes(head if damage == "truncated" else b"hello")
    out = tmp_path / "runs"
    status, _, errors = command(*FIG6, "--scale", "laptop", "--out", out, NORMSCOPE_DATA=tmp_path)
    assert status == 2
    assert len(errors.strip().splitlines()) == 1
    assert "train-images-idx3-ubyte" in errors


@pytest.mark.filterwarnings("always::normscope.errors.NormscopeWarning")
def test_a_damaged_scorecard_is_set_aside_and_made_again(command, finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "runs")
    (out / "scorecard.json").write_text("{")
    status, _, errors = command(*FIG6, "--out", out)
    assert status == 0
    assert "warning: " in errors
    assert "scorecard.json is damaged" in errors
    assert (out / "scorecard.json").read_bytes() == (finished / "scorecard.json").read_bytes()
    assert (out / "_unreadable" / "scorecard.json").read_text() == "{"


def test_a_dry_run_on_other_data_names_the_experiment_after_them(command, tmp_path):
    words = ("reproduce", "chai2020.fig6", "--data", "kmnist", "--out", tmp_path, "--dry-run")
    status, output, _ = command(*words, NORMSCOPE_DATA="")
    line, missing, _ = output.splitlines()
    assert status == 0
    assert re.fullmatch(r"chai2020\.fig6@kmnist +0 found +\d+ new +about \d+ s *", line)
    assert missing.startswith("kmnist is not here")


def test_data_that_the_paper_cannot_use_are_refused_before_anything_runs(command, tmp_path):
    out = tmp_path / "runs"
    status, output, errors = command("reproduce", "all", "--data", "own_pictures:numbers", "--out", out)
    assert (status, output, len(errors.strip().splitlines())) == (2, "", 1)
    assert "own_pictures:numbers has inputs of shape 5" in errors
    assert not out.exists()


def test_data_list_shows_every_set_and_how_your_own_are_named(command):
    output = command("data", "list")[1]
    assert all(name in output for name in ("mnist5k", "fashion-mnist", "kmnist"))
    assert all(form in output for form in ("MODULE:LOADER", "idx:FOLDER", "images:FOLDER"))


def test_list_info_and_data_list_answer(command):
    status, listed, _ = command("list")
    assert status == 0
    assert all(entry.id in listed for entry in catalogue.ENTRIES)
    assert "torch" in command("info")[1]
    assert "mnist5k" in command("data", "list")[1]
    assert command("--help")[0] == 0
    assert command("--version")[1] == "0.1.0\n"


def test_fetching_shipped_data_names_its_folder(command):
    status, output, _ = command("data", "fetch", "mnist5k")
    assert status == 0
    assert Path(output.strip()).is_dir()


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("cuda", "torch finds no cuda device on this machine: it has cpu."),
        ("gpu", "a GPU is named by its kind"),
        ("cudda", "did you mean cuda"),
    ],
)
@pytest.mark.parametrize("what", [["reproduce", "chai2020.fig6"], ["sweep", "--network", "lenet"]])
def test_a_device_that_is_not_there_is_one_line_and_nothing_runs(
    command, tmp_path, monkeypatch, what, device, words
):
    monkeypatch.setattr("normscope.devices.is_here", lambda kind: kind == "cpu")
    status, output, errors = command(*what, "--device", device, "--out", tmp_path / "runs")
    assert (status, output) == (2, "")
    assert words in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_info_lists_the_devices_with_their_makers_names(command, monkeypatch):
    monkeypatch.setattr("normscope.devices.is_here", lambda kind: kind != "mps")
    monkeypatch.setattr("normscope.devices.models", lambda kind: ["NVIDIA X"] * 2 if kind == "cuda" else [])
    (line,) = [line for line in command("info")[1].splitlines() if line.startswith("devices")]
    assert line.split(maxsplit=1)[1] == "cpu, cuda (NVIDIA X, NVIDIA X)"
