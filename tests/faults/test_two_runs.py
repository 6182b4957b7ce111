"""Two runs on one folder at once."""

import pytest
import trial
from killing import Run, results_of

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("ray")]


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
