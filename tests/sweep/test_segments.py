"""Compaction: many files become one, and nobody can tell."""

import pandas as pd
import pytest
from sample_cells import Numbers, numbers

from normscope.sweep import Store
from normscope.sweep.store import run_and_store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cells", compact_at=3)


def keep(store, starts):
    cells = {}
    for start in starts:
        cell = numbers.cell(Numbers(float(start), count=int(start) % 3))
        key = cell.key(str)
        run_and_store(cell.function, cell.config, key, store, {})
        cells[key] = cell
    return cells


def files(store, pattern="*.parquet"):
    return sorted(path.name for path in store.folder.glob(pattern))


def test_a_compacted_store_gives_the_same_table_and_the_same_metadata(store):
    cells = keep(store, range(7))
    table, found = store.table(cells), store.find(cells)
    store.compact()
    assert files(store) == files(store, "segment-*")
    assert len(files(store)) == 1
    for reader in (store, Store(store.folder)):
        pd.testing.assert_frame_equal(reader.table(cells), table)
        assert reader.find(cells) == found


def test_rows_come_in_the_order_of_the_cells_asked_for(store):
    cells = keep(store, range(5))
    store.compact()
    backwards = dict(reversed(cells.items()))
    assert store.table(backwards)["start"].drop_duplicates().tolist() == [4.0, 3.0, 2.0, 1.0, 0.0]


def test_a_cell_is_read_from_a_segment_bit_for_bit(store):
    cells = keep(store, range(5))
    before = {key: store.read(key).rows.drop_columns("cell") for key in cells}
    store.compact()
    assert all(store.read(key).rows.drop_columns("cell").equals(rows) for key, rows in before.items())


def test_few_files_stay_as_they_are(store):
    keep(store, range(2))
    before = files(store)
    store.compact()
    assert files(store) == before


def test_later_files_go_into_a_segment_of_their_own(store):
    cells = keep(store, range(4))
    store.compact()
    cells |= keep(store, range(4, 9))
    assert len(store.find(cells)) == 9
    store.compact()
    assert len(files(store)) == 2
    assert store.table(cells)["start"].nunique() == 9


def test_another_process_sees_a_segment_written_after_it_looked(store):
    other = Store(store.folder)
    cells = keep(store, range(4))
    assert other.find(cells).keys() == cells.keys()
    store.compact()
    assert other.find(cells).keys() == cells.keys()
    assert other.table(cells)["start"].nunique() == 4


def test_killed_between_segment_and_removal_a_cell_counts_once(store):
    cells = keep(store, range(4))
    kept = {name: (store.folder / name).read_bytes() for name in files(store)}
    table = store.table(cells)
    store.compact()
    for name, content in kept.items():
        (store.folder / name).write_bytes(content)
    pd.testing.assert_frame_equal(store.table(cells), table)
    store.compact()
    assert files(store) == files(store, "segment-*")
    pd.testing.assert_frame_equal(store.table(cells), table)


def test_a_cell_that_was_run_anew_replaces_its_older_rows_compacted_or_not(store):
    cells = keep(store, range(4))
    store.compact()
    key = next(iter(cells))
    again = numbers(Numbers(50.0, count=1))
    store.write(key, again, {"seconds": 7.0})
    for _ in range(2):
        assert store.table({key: cells[key]})["value"].tolist() == [50.0, float("inf")]
        assert store.read(key).rows["value"].to_pylist() == [50.0, float("inf")]
        assert store.find([key])[key].seconds == 7.0
        keep(store, range(10, 14))
        store.compact()
    assert len(files(store, "segment-*")) == 2 + 1


def test_a_torn_file_is_left_out_of_a_segment(store):
    cells = keep(store, range(4))
    torn = next(iter(cells))
    store.path(torn).write_bytes(b"torn")
    store.compact()
    assert store.find(cells).keys() == cells.keys() - {torn}


def test_a_torn_segment_means_that_its_cells_run_again(store):
    cells = keep(store, range(4))
    store.compact()
    (segment,) = store.folder.glob("segment-*")
    segment.write_bytes(segment.read_bytes()[:100])
    assert Store(store.folder).find(cells) == {}


def test_pandas_reads_files_and_segments_together(store):
    cells = keep(store, range(4))
    store.compact()
    cells |= keep(store, range(4, 6))
    assert set(pd.read_parquet(store.folder)["cell"].astype(str)) == set(cells)
