import pytest
from sample_cells import Numbers, numbers

from normscope import runner
from normscope.runner import Observer
from normscope.store import Store


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
