import threading

import pytest
from sample_cells import Numbers, numbers

from normscope import runner
from normscope.runner import Observer
from normscope.runner.compaction import background_compaction
from normscope.store import Store, StoreError


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cells", compact_at=5)


class FileCounter(Observer):
    """Counts the store's files as the cells finish."""

    def __init__(self, store):
        self.store, self.counts = store, []

    def finished(self, cell, seconds):
        self.counts.append(len(list(self.store.folder.glob("*.parquet"))))


def test_a_long_run_never_has_many_files(store):
    cells = {cell.key(str): cell for cell in (numbers.cell(Numbers(float(start))) for start in range(200))}
    counter = FileCounter(store)
    assert runner.run(runner.plan(cells, store, 1), store, counter) == {}
    assert len(counter.counts) == 200
    assert max(counter.counts) < 150
    assert store.find(cells).keys() == cells.keys()


def test_a_cell_that_is_damaged_during_the_run_ends_it_in_a_sentence_and_runs_again(store):
    early, late = (numbers.cell(Numbers(float(start))) for start in (1, 2))
    cells = {cell.key(str): cell for cell in (early, late)}
    key = early.key(str)
    runner.run(runner.plan({key: early}, store, 1), store, Observer())

    class Damage(Observer):
        def finished(self, cell, seconds):
            store.path(key).write_bytes(b"torn")

    store.compact_at = 2
    with pytest.raises(
        StoreError, match=r"damaged or removed during the run \(1 of them\): run the same command"
    ):
        runner.run(runner.plan(cells, store, 1), store, Damage())
    again = runner.plan(cells, store, 1)
    assert (again.new.keys(), again.damaged) == ({key}, 0)
    assert runner.run(again, store, Observer()) == {}
    assert store.find(cells).keys() == cells.keys()


class Compactions:
    """Takes the place of a store's method: each call is counted and fails."""

    def __init__(self, error):
        self.error, self.called = error, threading.Event()

    def __call__(self):
        self.called.set()
        raise self.error


def compact_in_the_background(store):
    with background_compaction(store) as count:
        for _ in range(store.compact_at):
            count()
        assert store.compact.called.wait(60)


def test_what_goes_wrong_in_the_thread_that_compacts_is_raised_by_the_run(store, monkeypatch):
    monkeypatch.setattr(store, "compact", Compactions(RuntimeError("a mistake")))
    with pytest.raises(RuntimeError, match="a mistake"):
        compact_in_the_background(store)


def test_a_disk_that_refuses_to_compact_does_not_stop_the_run(store, monkeypatch):
    monkeypatch.setattr(store, "compact", Compactions(StoreError("cannot write to cells: No space left.")))
    compact_in_the_background(store)
