"""Compaction: many files become one, and nobody can tell."""

import os

import pandas as pd
import pytest
from sample_cells import Numbers, numbers

from normscope.errors import DamagedError
from normscope.runner.worker import run_and_store
from normscope.store import Store
from normscope.store.pruning import clean_store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cells", compact_at=3)


def keep(store, starts):
    cells = {}
    for start in starts:
        cell = numbers.cell(Numbers(float(start), count=int(start) % 3))
        key = cell.key(str)
        run_and_store(numbers, cell.config, key, store, {})
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


def test_a_cell_that_was_run_again_replaces_its_older_rows_compacted_or_not(store):
    cells = keep(store, range(4))
    store.compact()
    key = next(iter(cells))
    again = numbers(Numbers(50.0, count=1))
    store.write(key, again, {"seconds": 7.0})
    for _ in range(2):
        assert store.table({key: cells[key]})["value"].tolist() == [50.0, float("inf")]
        assert store.read(key).rows["value"].to_pylist() == [50.0, float("inf")]
        assert store.find([key])[key].seconds == store.find_one(key).seconds == 7.0
        keep(store, range(10, 14))
        store.compact()
    assert len(files(store, "segment-*")) == 2 + 1


def test_a_torn_file_is_left_out_of_a_segment(store):
    cells = keep(store, range(4))
    torn = next(iter(cells))
    store.path(torn).write_bytes(b"torn")
    store.compact()
    assert store.find(cells).keys() == cells.keys() - {torn}


@pytest.mark.parametrize("damage", ["torn", "a bit", "renamed"])
def test_a_damaged_segment_is_set_aside_and_its_cells_run_again(store, damage):
    cells = keep(store, range(4))
    store.compact()
    (segment,) = store.folder.glob("segment-*")
    content = bytearray(segment.read_bytes())
    content[len(content) // 3] ^= 4
    if damage == "renamed":
        segment = segment.rename(segment.with_name("segment-00000001-0123456789abcdef.parquet"))
    else:
        segment.write_bytes(content if damage == "a bit" else content[:100])
    found = Store(store.folder)
    assert found.find(cells) == {}
    assert found.table(cells).empty
    assert (found.set_aside, files(store)) == (1, [])
    assert (store.folder / "_unreadable" / segment.name).exists()


def test_which_segment_is_newer_does_not_depend_on_the_clock(store):
    (key, cell), *_ = keep(store, range(4)).items()
    store.compact()
    for value in (60.0, 50.0):
        keep(store, range(10, 14))
        store.write(key, numbers(Numbers(value, count=1)), {"seconds": value})
        store.compact()
    for age, path in enumerate(sorted(store.folder.glob("segment-*"))):
        os.utime(path, (1e9 - age, 1e9 - age))
    reader = Store(store.folder)
    assert reader.find([key])[key].seconds == 50.0
    assert reader.table({key: cell})["value"].tolist() == [50.0, float("inf")]


def test_a_segment_with_a_number_that_no_store_gives_is_no_segment(store):
    cells = keep(store, range(3))
    store.compact()
    (segment,) = files(store)
    segment = store.folder / segment
    other = segment.with_name(f"segment-{'9' * 200}-{segment.stem[-16:]}.parquet")
    segment.rename(other)
    assert Store(store.folder).keys() == set()
    cells = keep(store, range(3))
    store.compact()
    assert (len(files(store)), other.exists()) == (2, True)
    assert store.find(cells).keys() == cells.keys()


def test_a_segment_with_the_largest_number_stops_no_run_and_loses_no_cell(store):
    keep(store, range(3))
    store.compact()
    (segment,) = files(store)
    largest = store.folder / f"segment-{'9' * 12}-{segment[-24:]}"
    (store.folder / segment).rename(largest)
    cells = keep(store, range(3, 6))
    store.compact()
    assert len(files(store)) == 4
    assert store.find(cells).keys() == cells.keys()
    with pytest.raises(DamagedError, match="newer than the newest"):
        clean_store(store, {*cells, *list(Store(store.folder).segments.cells())[:1]})
    assert largest.exists()


def test_segments_without_numbers_are_read_and_count_as_the_oldest(store):
    key, *others = keep(store, range(4))
    store.compact()
    (segment,) = store.folder.glob("segment-*")
    segment.rename(store.folder / f"segment-{'f' * 32}.parquet")
    keep(store, range(10, 14))
    store.write(key, numbers(Numbers(50.0, count=1)), {"seconds": 7.0})
    store.compact()
    assert Store(store.folder).find([key])[key].seconds == 7.0
    assert len(store.find(others)) == 3


def test_a_cell_that_is_run_again_while_it_is_compacted_keeps_its_file(store, monkeypatch):
    key, *_ = keep(store, range(4))
    write = store.segments.write

    def write_and_disturb(*arguments):
        write(*arguments)
        store.write(key, numbers(Numbers(50.0, count=1)), {"seconds": 7.0})

    monkeypatch.setattr(store.segments, "write", write_and_disturb)
    store.compact()
    assert files(store, f"{key}.parquet")
    assert store.find([key])[key].seconds == 7.0


def test_large_cells_make_several_segments(store, monkeypatch):
    monkeypatch.setattr("normscope.store.store._SEGMENT_BYTES", 1)
    cells = keep(store, range(4))
    table = store.table(cells)
    store.compact()
    assert len(files(store, "segment-*")) == len(files(store)) == 4
    pd.testing.assert_frame_equal(store.table(cells), table)


def test_pandas_reads_files_and_segments_together(store):
    cells = keep(store, range(4))
    store.compact()
    cells |= keep(store, range(4, 6))
    assert set(pd.read_parquet(store.folder)["cell"].astype(str)) == set(cells)
