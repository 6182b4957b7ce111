"""Several commands on one folder at once."""

import time

import pytest
import trial
from killing import Run, results_of

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("ray")]

REFUSALS = ("a run is using", "holds no results")
"""What ``clean`` and ``report`` may say to a folder in which runs are at work or have not begun."""


def test_two_runs_share_the_cells_and_both_give_the_whole_table(tmp_path, undisturbed):
    out = tmp_path / "runs"
    runs = [Run(out, TRIAL_SECONDS="0.2") for _ in range(2)]
    both = [run.end() for run in runs]
    for ended in both:
        assert ended.returncode == 0, ended.stderr
        assert "failed" not in ended.stdout
    assert any("Another run is at work in this folder" in ended.stderr for ended in both)
    begun = [run.begun() for run in runs]
    assert all(begun)
    assert sorted(begun[0] + begun[1]) == list(range(trial.CELLS))
    assert results_of(out) == results_of(undisturbed[0])


@pytest.mark.long
def test_ten_runs_and_clean_and_report_on_one_folder_all_end_well(tmp_path, undisturbed):
    out = tmp_path / "runs"
    runs = [Run(out) for _ in range(10)]
    others = []
    for _ in range(3):
        others += [Run(out, command=["clean"]), Run(out, command=["report"])]
        time.sleep(1)
    for ended in (run.end() for run in runs):
        assert (ended.returncode, "failed" in ended.stdout) == (0, False), ended.stderr
    for ended in (run.end() for run in others):
        assert ended.returncode in (0, 2), ended.stderr
        assert "Traceback" not in ended.stderr
        if ended.returncode:
            assert any(words in ended.stderr for words in REFUSALS), ended.stderr
    assert sorted(start for run in runs for start in run.begun()) == list(range(trial.CELLS))
    assert results_of(out) == results_of(undisturbed[0])
    assert not (out / "cells" / "_unreadable").exists()
    assert not list(out.rglob("*.tmp"))
    again = Run(out).end()
    assert f"{trial.CELLS} cells found, none to run" in again.stderr
