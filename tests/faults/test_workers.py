"""Workers that leave, hang, run out of memory and are killed."""

import pytest
import trial
from killing import Run

from normscope.store import Store

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("ray")]


def test_bad_cells_are_listed_each_with_its_reason_and_the_rest_is_run(tmp_path):
    out = tmp_path / "runs"
    run = Run(out, "--cell-timeout", "6", TRIAL_FAULTS="exit,kill,hang,memory")
    ended = run.end()
    assert ended.returncode == 1, ended.stderr
    for reason in (
        "its worker ended with exit status 3: last words",
        "its worker ended with signal 9 (killed; perhaps out of memory: fewer workers need less)",
        "stopped after 6 s (--cell-timeout)",
        "out of memory: fewer workers leave more for each.",
    ):
        assert f"{trial.ID}: 1 cell failed: {reason}" in " ".join(ended.stdout.split())
    begun = run.begun()
    assert [begun.count(start) for start in range(5)] == [3, 3, 1, 1, 1]
    assert len(Store(out / "cells").keys()) == trial.CELLS - 4
