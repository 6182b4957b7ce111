"""What keeps a store in order while a run goes on, and what keeps two runs apart."""

import subprocess
import sys

import pytest
from sample_cells import Numbers, numbers

from normscope import runner
from normscope.runner import SilentObserver
from normscope.runner.worker import run_and_store
from normscope.store import Store
from normscope.store.locks import Claims

KEY, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "cells", compact_at=5)
    store.check_writable()
    return store


class Counter(SilentObserver):
    """Counts the store's files as the cells finish."""

    def __init__(self, store):
        self.store, self.files = store, []

    def finished(self, cell, seconds):
        self.files.append(len(list(self.store.folder.glob("*.parquet"))))


def test_a_long_run_never_has_many_files(store):
    cells = {cell.key(str): cell for cell in (numbers.cell(Numbers(float(start))) for start in range(200))}
    counter = Counter(store)
    assert runner.run(runner.plan(cells, store, 1), store, counter) == {}
    assert len(counter.files) == 200
    assert max(counter.files) < 150
    assert store.find(cells).keys() == cells.keys()


def claimed_elsewhere(store, key):
    script = f"""
from pathlib import Path
from normscope.store.locks import Claims
from normscope.store.store import Store
with Claims(Store(Path({str(store.folder)!r})), ()) as claims:
    print(claims.take({key!r}), flush=True)
    input()
"""
    other = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "True\n"
    return other


def test_a_cell_that_another_process_runs_is_not_taken_until_that_ends(store):
    with Claims(store, ()) as claims:
        other = claimed_elsewhere(store, KEY)
        assert not claims.take(KEY)
        assert claims.take(OTHER)
        other.kill()
        other.communicate()
        assert claims.take(KEY)


def test_a_cell_that_another_process_finished_is_found_unless_it_is_to_be_run_anew(store):
    cell = numbers.cell(Numbers(1.0))
    key = cell.key(str)
    with Claims(store, ()) as claims, Claims(store, {key}) as anew:
        assert claims.found(key) is None
        run_and_store(numbers, cell.config, key, store, {})
        assert claims.found(key).seconds > 0
        assert anew.found(key) is None
