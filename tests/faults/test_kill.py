"""Runs killed at random moments and run again: no cell is lost, duplicated or torn, and the bits are the same."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import trial
from killing import KINDS, Run, files_of, results_of

from normscope.store import Store

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("ray")]

ALWAYS, ALL = len(KINDS), 100
KEYS = {cell.key(str): cell.config.start for cell in trial.experiment().cells("quick", None)}


def trials():
    return [pytest.param(index, marks=[pytest.mark.long] if index >= ALWAYS else []) for index in range(ALL)]


@pytest.mark.parametrize("index", trials())
def test_a_killed_run_run_again_ends_like_an_undisturbed_one(
    index, undisturbed, dice, record_property, tmp_path
):
    reference, duration = undisturbed
    out = tmp_path / "runs"
    run = Run(out)
    death = run.kill(KINDS[index % len(KINDS)], duration, dice)
    record_property("killed", death.kind)
    record_property("while", death.moment)
    if death.kind == "worker":
        ended = run.end()
        assert ended.returncode == 0, ended.stderr
    for path in files_of(out):
        assert_whole(path)
    done = finished(out)
    again = Run(out)
    ended = again.end()
    assert ended.returncode == 0, ended.stderr
    assert f"{len(done)} cells found" in ended.stderr
    assert sorted(again.begun()) == sorted(set(KEYS.values()) - done)
    assert finished(out) == set(KEYS.values())
    assert not (out / "cells" / "_unreadable").exists()
    assert not list(out.rglob("*.tmp"))
    assert results_of(out) == results_of(reference), death


def finished(out: Path) -> set[int]:
    """The starts of the cells in the store; each has all of its rows, once."""
    store = Store(out / "cells")
    found = store.find(KEYS)
    assert store.set_aside == 0
    table = store.table({cell.key(str): cell for cell in trial.experiment().cells("quick", None)})
    assert (
        table["cell"].value_counts().to_dict() == dict.fromkeys(found, trial.ROWS + 1)
        if found
        else table.empty
    )
    return {KEYS[key] for key in found}


def assert_whole(path: Path) -> None:
    """A file under its final name is complete."""
    content = path.read_bytes()
    if path.suffix == ".parquet":
        assert pq.ParquetFile(path).read().num_rows >= trial.ROWS
    elif path.suffix == ".json":
        json.loads(content)
    else:
        endings = {".html": b"</html>", ".svg": b"</svg>", ".png": b"IEND\xaeB`\x82"}
        assert content.rstrip().endswith(endings[path.suffix]), path
