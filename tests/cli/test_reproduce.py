"""The main job as a user types it, on real digits."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest


def table(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "chai2020.fig6" / "data.parquet")


def cells(out: Path) -> set[str]:
    return {path.stem for path in (out / "cells").glob("*.parquet")}


def test_it_writes_scorecard_page_table_and_figures(finished):
    rows = json.loads((finished / "scorecard.json").read_text())
    assert {row["claim"] for row in rows} == {"amplify-equals-batchnorm", "amplified", "suppress-stays"}
    assert all(row["experiment"] == "chai2020.fig6" and row["scale"] == "quick" for row in rows)
    assert all(isinstance(row["holds"], bool) and row["seeds"] == 3 and row["measured"] for row in rows)
    assert "chai2020.fig6" in (finished / "report.html").read_text()
    assert (finished / "chai2020.fig6" / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (finished / "chai2020.fig6" / "figure.svg").read_bytes()
    assert set(table(finished)["norm"]) == {"none", "batch", "amplify", "suppress"}


def test_again_it_finds_every_cell_and_trains_nothing(finished, normscope):
    before = {path: path.stat().st_mtime_ns for path in (finished / "cells").glob("*.parquet")}
    run = normscope("reproduce", "chai2020.fig6", "--out", finished)
    assert run.returncode == 0
    assert f"{len(before)} cells found, none to run" in run.stderr
    assert {path: path.stat().st_mtime_ns for path in (finished / "cells").glob("*.parquet")} == before


def test_a_dry_run_lists_found_and_new_cells_and_writes_nothing(finished, normscope, tmp_path):
    partly = tmp_path / "runs"
    shutil.copytree(finished, partly)
    for path in sorted((partly / "cells").glob("*.parquet"))[:5]:
        path.unlink()
    before = sorted(partly.rglob("*"))
    run = normscope("reproduce", "chai2020.fig6", "--out", partly, "--dry-run")
    lines = run.stdout.splitlines()
    assert run.returncode == 0
    assert sum(line.startswith("new ") for line in lines) == 5
    assert sum(line.startswith("found ") for line in lines) == len(cells(finished)) - 5
    assert "5 to run" in lines[-1]
    assert "disk" in lines[-1]
    assert sorted(partly.rglob("*")) == before
    elsewhere = normscope("reproduce", "chai2020.fig6", "--dry-run", cwd=tmp_path)
    assert elsewhere.returncode == 0
    assert not (tmp_path / "normscope-runs").exists()


def test_a_dry_run_needs_no_data(normscope, tmp_path):
    run = normscope(
        "reproduce",
        "chai2020.fig8",
        "--scale",
        "paper",
        "--dry-run",
        NORMSCOPE_DATA="",
        NORMSCOPE_CACHE=str(tmp_path),
    )
    assert run.returncode == 0
    assert "440 to run" in run.stdout.splitlines()[-1]
    assert "mnist is not here" in run.stdout.splitlines()[-2]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("killed", ["SIGKILL", "SIGINT"])
def test_killed_half_way_it_finishes_only_the_rest_with_the_same_rows(finished, normscope, tmp_path, killed):
    out = tmp_path / "runs"
    driver = subprocess.Popen(
        [sys.executable, "-m", "normscope", "reproduce", "chai2020.fig6", "--out", str(out)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Started in the background, as by some CI runners, a process inherits that interrupts are ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    end = time.monotonic() + 120
    while len(cells(out)) < 10 and time.monotonic() < end:
        time.sleep(0.02)
    driver.send_signal(getattr(signal, killed))
    _, words = driver.communicate(timeout=30)
    done = {path: path.stat().st_mtime_ns for path in (out / "cells").glob("*.parquet")}
    assert 10 <= len(done) < len(cells(finished))
    if killed == "SIGINT":
        assert driver.returncode == 130
        assert "the same command goes on" in words.splitlines()[-1]
        assert "Traceback" not in words
    run = normscope("reproduce", "chai2020.fig6", "--out", out)
    assert run.returncode == 0
    assert f"{len(done)} cells found, {len(cells(finished)) - len(done)} to run" in run.stderr
    assert all(path.stat().st_mtime_ns == modified for path, modified in done.items())
    pd.testing.assert_frame_equal(table(out), table(finished))


def test_one_worker_gives_the_same_bits_as_two(finished, normscope, tmp_path):
    run = normscope("reproduce", "chai2020.fig6", "--out", tmp_path, "--workers", "1")
    assert run.returncode == 0
    assert table(tmp_path).equals(table(finished))


def test_a_failed_cell_is_listed_and_the_exit_status_is_one(finished, normscope, tmp_path):
    partly = tmp_path / "runs"
    shutil.copytree(finished, partly)
    next((partly / "cells").glob("*.parquet")).unlink()
    run = normscope("reproduce", "chai2020.fig6", "--out", partly, "--cell-timeout", "0.001")
    assert run.returncode == 1
    assert "1 cell failed: stopped after 0.001 s" in run.stdout
    assert "stopped after 0.001 s" in (partly / "report.html").read_text()
    assert len(json.loads((partly / "scorecard.json").read_text())) == 3


def test_strict_exits_with_three_when_a_claim_does_not_hold(finished, normscope, tmp_path):
    partly = tmp_path / "runs"
    shutil.copytree(finished, partly)
    strict = normscope("reproduce", "chai2020.fig6", "--out", partly, "--strict")
    holds = [row["holds"] for row in json.loads((partly / "scorecard.json").read_text())]
    assert strict.returncode == (3 if False in holds else 0)


def test_python_names_the_experiments_of_a_paper():
    import normscope as ns
    from normscope.errors import InputError

    with pytest.raises(InputError, match=r"several experiments.*chai2020\.fig6"):
        ns.reproduce("chai2020")


def test_report_builds_the_page_again_from_what_is_stored(finished, normscope, tmp_path):
    partly = tmp_path / "runs"
    shutil.copytree(finished, partly)
    shutil.rmtree(partly / "cells")
    (partly / "report.html").unlink()
    (partly / "chai2020.fig6" / "figure.svg").unlink()
    run = normscope("report", partly)
    assert run.returncode == 0
    assert (partly / "report.html").read_text() == (finished / "report.html").read_text()
    assert (partly / "scorecard.json").read_text() == (finished / "scorecard.json").read_text()


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
def test_bad_input_gets_one_line_and_exit_two(normscope, tmp_path, arguments, words):
    (tmp_path / "file").touch()
    run = normscope(*arguments, cwd=tmp_path)
    assert run.returncode == 2
    assert words in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
    assert run.stdout == ""


@pytest.mark.parametrize("damage", ["truncated", "foreign"])
def test_damaged_data_files_get_one_line_and_exit_two(normscope, tmp_path, damage):
    folder = tmp_path / "mnist"
    folder.mkdir()
    head = b"\x00\x00\x08\x03\x00\x00\xea\x60\x00\x00\x00\x1c\x00\x00\x00\x1c\x00"
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte").write_bytes(head if damage == "truncated" else b"hello")
    run = normscope(
        "reproduce",
        "chai2020.fig6",
        "--scale",
        "laptop",
        "--out",
        tmp_path / "runs",
        NORMSCOPE_DATA=str(tmp_path),
    )
    assert run.returncode == 2
    assert len(run.stderr.strip().splitlines()) == 1
    assert "train-images-idx3-ubyte" in run.stderr


def test_a_broken_scorecard_stops_the_run_before_it_starts(normscope, tmp_path):
    (tmp_path / "scorecard.json").write_text("{")
    run = normscope("reproduce", "chai2020.fig6", "--out", tmp_path)
    assert (run.returncode, len(run.stderr.strip().splitlines())) == (2, 1)
    assert "scorecard.json" in run.stderr
    assert (tmp_path / "scorecard.json").read_text() == "{"


def test_list_info_and_data_list_answer(normscope):
    listed = normscope("list", "chai2020")
    assert (listed.returncode, listed.stdout.count("chai2020.fig")) == (0, 5)
    assert "torch" in normscope("info").stdout
    assert "mnist5k" in normscope("data", "list").stdout
    assert normscope("--help").returncode == 0
    assert normscope("--version").stdout == "0.1.0\n"


def test_fetching_shipped_data_names_its_folder(normscope):
    run = normscope("data", "fetch", "mnist5k")
    assert run.returncode == 0
    assert Path(run.stdout.strip()).is_dir()
