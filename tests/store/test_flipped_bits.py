"""Flipped bits, everywhere in what the store keeps: noticed, named and set aside, and never other rows."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sample_cells import Numbers, numbers

from normscope.errors import DamagedError
from normscope.store import Store, StoreError
from normscope.store.cellfile import cell_bytes, parse_cell
from normscope.store.pruning import clean_store

CELLS = {cell.key(str): cell for cell in (numbers.cell(Numbers(float(start))) for start in range(4))}
KEY = min(CELLS)
METADATA = {
    "normscope": "1.0", "torch": "2.13.0", "python": "3.11.7", "threads": 1,
    "version": 1, "config": {"start": 2}, "function": "samples.numbers", "seconds": 1.25,
}  # fmt: skip
ALL = pytest.param(1, marks=[pytest.mark.long, pytest.mark.faults], id="all")


def flipped(content, bit):
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def footer_of(content):
    """Where the footer begins: its length is written before the last four bytes."""
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")


def test_every_flipped_bit_of_a_cell_is_noticed():
    content = cell_bytes(KEY, numbers(Numbers(2.0)), METADATA)
    for bit in range(8 * len(content)):
        with pytest.raises(DamagedError):
            parse_cell(KEY, flipped(content, bit))


@pytest.mark.parametrize("every", [ALL, pytest.param(29, id="sample")])
def test_a_flipped_bit_of_an_older_versions_cell_gives_a_cell_or_is_damage(every):
    rows = numbers(Numbers(2.0)).append_column("cell", pa.array([KEY] * 4))
    sink = pa.BufferOutputStream()
    metadata = {b"normscope": json.dumps({**METADATA, "key": KEY}).encode()}
    pq.write_table(rows.replace_schema_metadata(metadata), sink, write_page_checksum=True)
    content = sink.getvalue().to_pybytes()
    assert parse_cell(KEY, content).rows.equals(rows)
    noticed = 0
    for bit in range(0, 8 * len(content), every):
        try:
            parse_cell(KEY, flipped(content, bit))
        except DamagedError:
            noticed += 1
    assert noticed > 4 * len(content) / every


@pytest.fixture
def segment(tmp_path):
    """A segment of four cells and its content."""
    store = Store(tmp_path, compact_at=1)
    for key, cell in CELLS.items():
        store.write(key, numbers(cell.config), METADATA)
    store.compact()
    (path,) = tmp_path.glob("segment-*")
    return path, path.read_bytes()


@pytest.mark.parametrize("every", [ALL, pytest.param(397, id="sample")])
def test_a_flipped_bit_of_a_segment_is_noticed_whenever_it_flips(segment, every):
    path, content = segment
    pages, footer = (
        range(0, 8 * footer_of(content), 7 * every),
        range(8 * footer_of(content), 8 * len(content), every),
    )
    for bit in (*pages, *footer):
        path.write_bytes(content)
        early, late = Store(path.parent), Store(path.parent)
        assert late.find(CELLS).keys() == CELLS.keys()
        path.write_bytes(flipped(content, bit))
        with pytest.raises(StoreError, match=r"is damaged: run the same command again"):
            late.table(CELLS)
        path.write_bytes(flipped(content, bit))
        assert early.find(CELLS) == {}
        assert early.read(KEY) is None
        assert early.table(CELLS).empty
        assert (late.set_aside, early.set_aside, path.exists()) == (1, 1, False)


def test_rows_that_were_found_and_are_damaged_now_are_not_left_out_without_a_word(tmp_path):
    store = Store(tmp_path)
    for key, cell in CELLS.items():
        store.write(key, numbers(cell.config), METADATA)
    assert store.find(CELLS).keys() == CELLS.keys()
    content = store.path(KEY).read_bytes()
    store.path(KEY).write_bytes(flipped(content, 99))
    with pytest.raises(StoreError, match=f"_unreadable/{KEY}.parquet is damaged: run the same command again"):
        store.table(CELLS)
    assert set(store.table(CELLS)["cell"]) == CELLS.keys() - {KEY}


def test_a_damaged_file_does_not_keep_a_whole_copy_in_a_segment_from_being_used(segment):
    path, _ = segment
    store = Store(path.parent)
    table = store.table(CELLS)
    store.path(KEY).write_bytes(b"torn")
    assert store.table(CELLS).equals(table)
    assert store.set_aside == 1
    store.path(KEY).mkdir()
    assert store.table(CELLS).equals(table)
    assert store.set_aside == 2


def test_cleaning_keeps_a_cells_copy_in_a_segment_while_its_own_file_is_damaged(segment):
    path, _ = segment
    store = Store(path.parent)
    table = store.table(CELLS)
    store.path(KEY).write_bytes(b"torn")
    clean_store(store, CELLS)
    assert Store(path.parent).table(CELLS).equals(table)
