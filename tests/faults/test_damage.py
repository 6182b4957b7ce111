"""Files that are damaged, foreign, or have odd times."""

import os
import shutil
import time

import pandas as pd
import pytest
import trial
from killing import Run, results_of

from normscope.store import Store

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("ray")]
YEAR = 365 * 86400


@pytest.fixture
def out(undisturbed, tmp_path):
    """A copy of a finished run, every cell in a segment."""
    out = shutil.copytree(undisturbed[0], tmp_path / "runs")
    Store(out / "cells", compact_at=1).compact()
    return out


def test_damaged_files_are_set_aside_and_only_their_cells_run_again(out, undisturbed):
    cells = out / "cells"
    store = Store(cells)
    contents = store.segments.contents()
    damaged, lost = next((path, index.cells) for path, index in contents.items())
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    kept = store.keys() - lost.keys()
    torn, another, foreign = sorted(kept)[:3]
    (cells / f"{torn}.parquet").write_bytes(content[:1000])
    store.write(another, store.read(foreign).rows.drop_columns("cell"), {"seconds": 1.0})
    shutil.move(cells / f"{another}.parquet", cells / f"{foreign}.parquet")
    mine = cells / "measurements.parquet"
    pd.DataFrame({"a": [1]}).to_parquet(mine)
    run = Run(out)
    ended = run.end()
    assert ended.returncode == 0, ended.stderr
    assert f"{len(kept)} cells found (3 damaged files, whose cells run again), {len(lost)} to run" in (
        ended.stderr
    )
    assert len(run.begun()) == len(lost)
    assert {path.name for path in (cells / "_unreadable").iterdir()} == {
        damaged.name,
        f"{torn}.parquet",
        f"{foreign}.parquet",
    }
    assert pd.read_parquet(mine)["a"].tolist() == [1]
    mine.unlink()
    assert results_of(out) == results_of(undisturbed[0])
    assert set(pd.read_parquet(cells)["cell"].astype(str)) == kept | lost.keys()


def test_a_clock_that_goes_backwards_changes_nothing(out, undisturbed):
    for age, path in enumerate(sorted((out / "cells").iterdir())):
        moment = time.time() + (10 - age) * YEAR
        os.utime(path, (moment, moment))
    run = Run(out, "--fresh")
    ended = run.end()
    assert ended.returncode == 0, ended.stderr
    assert len(run.begun()) == trial.CELLS
    assert results_of(out) == results_of(undisturbed[0])
