import pandas as pd
import pytest
from sample_cells import Numbers, numbers

from normscope.runner.worker import run_and_store
from normscope.store import Store
from normscope.store.pruning import clean_store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cells", compact_at=3)


def keep(store, starts):
    cells = {}
    for start in starts:
        cell = numbers.cell(Numbers(float(start)))
        key = cell.key(str)
        run_and_store(numbers, cell.config, key, store, {})
        cells[key] = cell
    return cells


def size(store):
    return sum(path.stat().st_size for path in store.folder.rglob("*") if path.is_file())


def counts(removals):
    return {removal.what: removal.count for removal in removals}


def test_nothing_goes_while_every_cell_is_referred_to(store):
    cells = keep(store, range(4))
    store.compact()
    cells |= keep(store, range(4, 6))
    before = sorted(store.folder.iterdir())
    assert clean_store(store, cells) == []
    assert sorted(store.folder.iterdir()) == before


@pytest.mark.parametrize("compacted", [True, False])
def test_the_cells_that_nothing_refers_to_go_and_the_others_stay_as_they_are(store, compacted):
    cells = keep(store, range(6))
    if compacted:
        store.compact()
    wanted = dict(list(cells.items())[:4])
    table, found = store.table(wanted), store.find(wanted)
    before = size(store)
    (removal,) = clean_store(store, wanted)
    assert (removal.count, "no experiment refers to" in removal.what) == (2, True)
    assert removal.bytes == before - size(store) > 0
    assert store.keys() == wanted.keys()
    for reader in (store, Store(store.folder)):
        pd.testing.assert_frame_equal(reader.table(wanted), table)
        assert reader.find(wanted) == found


def test_a_dry_run_says_the_same_and_removes_nothing(store):
    cells = keep(store, range(4))
    store.compact()
    cells |= keep(store, range(4, 6))
    before = {path: path.stat().st_mtime_ns for path in store.folder.iterdir()}
    wanted = list(cells)[2:5]
    said = clean_store(store, wanted, dry_run=True)
    assert {path: path.stat().st_mtime_ns for path in store.folder.iterdir()} == before
    assert said == clean_store(store, wanted) != []


def test_only_the_newest_copy_of_a_cell_stays(store):
    cells = keep(store, range(4))
    store.compact()
    key, other, *_ = cells
    for value, again in ((60.0, [key]), (50.0, [key, other])):
        keep(store, [10, 11, 12])
        for which in again:
            store.write(which, numbers(Numbers(value, count=1)), {"seconds": value})
        store.compact()
    store.write(other, numbers(Numbers(70.0, count=1)), {"seconds": 70.0})
    cells |= keep(store, [])
    table = store.table(cells)
    removals = clean_store(store, store.keys())
    assert counts(removals) == {"superseded copies of cells": 1 + 1 + 3 + 2}
    assert store.find(cells)[key].seconds == 50.0
    assert store.find(cells)[other].seconds == 70.0
    pd.testing.assert_frame_equal(store.table(cells), table)
    assert clean_store(store, store.keys()) == []


def test_damaged_files_and_dead_writers_files_go_and_a_strangers_stay(store):
    cells = keep(store, range(2))
    torn, fine = cells
    store.path(torn).write_bytes(b"torn")
    store.read(torn)
    (store.folder / f".{fine}.parquet.0123456789abcdef.tmp").touch()
    mine = store.folder / "mine.parquet"
    mine.touch()
    assert counts(clean_store(store, cells)) == {"damaged files": 1, "leftovers of dead writers": 1}
    assert mine.exists()
    assert store.keys() == {fine}
