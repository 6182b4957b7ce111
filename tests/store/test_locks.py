import subprocess
import sys

import pytest

from normscope.store import StoreError, exclusive_use, shared_use
from normscope.store.locks import CellLocks

KEY, OTHER = "a" * 32, "b" * 32


def locked_elsewhere(folder, key):
    """A process that has locked a cell."""
    script = f"""
from pathlib import Path
from normscope.store.locks import CellLocks
with CellLocks(Path({str(folder)!r})) as locks:
    print(locks.acquire({key!r}), flush=True)
    input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "True\n"
    return process


def test_a_cell_that_another_process_has_locked_is_free_once_that_process_is_killed(tmp_path):
    with CellLocks(tmp_path) as locks:
        other = locked_elsewhere(tmp_path, KEY)
        assert not locks.acquire(KEY)
        assert locks.acquire(OTHER)
        other.kill()
        other.communicate()
        assert locks.acquire(KEY)


def test_many_may_share_a_folder_and_exclusive_use_of_it_is_refused_meanwhile(tmp_path):
    with (
        shared_use(tmp_path),
        shared_use(tmp_path),
        pytest.raises(StoreError, match="a run is using"),
        exclusive_use(tmp_path),
    ):
        pass
    with exclusive_use(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_can_be_shared_and_not_had_alone(tmp_path):
    (tmp_path / "file").touch()
    with shared_use(tmp_path / "file"):
        pass
    with pytest.raises(StoreError, match="cannot write to"), exclusive_use(tmp_path / "file"):
        pass
