import json
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from normscope.disk import tables
from normscope.disk.tables import read_table, table_bytes
from normscope.errors import DamagedError

ABOUT = {"version": 1, "config": {"rate": 0.1, "layers": [1, 2]}}
MEBIBYTE = 2**20


def small_table() -> pa.Table:
    return pa.table(
        {
            "measure": pa.array(["root", "root", "square", None]),
            "step": pa.array([1, 2, None, 4], pa.int64()),
            "value": pa.array([1.0, float("inf"), float("nan"), None]),
            "flag": pa.array([True, False, None, True]),
            "nothing": pa.nulls(4),
        }
    )


def test_what_is_written_is_read_back_types_and_all():
    table, metadata = read_table(table_bytes(small_table(), ABOUT))
    assert table.schema.equals(small_table().schema)
    assert metadata == ABOUT
    assert repr(table.to_pydict()) == repr(small_table().to_pydict())  # NaN differs from itself


def test_pandas_reads_the_file_without_normscope(tmp_path):
    frame = pd.DataFrame({"a": ["x", "y"], "b": [1.5, 2.5]})
    (tmp_path / "f.parquet").write_bytes(table_bytes(pa.Table.from_pandas(frame), ABOUT))
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "f.parquet"), frame)


def test_every_flipped_bit_is_noticed():
    content = table_bytes(small_table(), ABOUT)
    for place in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(DamagedError):
            read_table(bytes(damaged))


def test_a_file_that_ends_early_is_damaged():
    content = table_bytes(small_table(), ABOUT)
    for length in range(0, len(content), 7):
        with pytest.raises(DamagedError):
            read_table(content[:length])


def test_a_file_of_an_older_version_which_has_no_checksum_is_read():
    table = small_table().replace_schema_metadata({b"normscope": json.dumps(ABOUT).encode()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    assert read_table(sink.getvalue().to_pybytes())[1] == ABOUT


@pytest.mark.parametrize("metadata", [None, {b"normscope": b"[1]"}, {b"normscope": b"{"}, {b"other": b"{}"}])
def test_a_file_of_another_program_is_damaged(metadata):
    sink = pa.BufferOutputStream()
    pq.write_table(small_table().replace_schema_metadata(metadata), sink)
    with pytest.raises(DamagedError):
        read_table(sink.getvalue().to_pybytes())


def test_texts_that_contain_the_mark_of_the_checksum_change_nothing():
    table = pa.table({"a": pa.array(["normscope.sha256\x18@" + "f" * 64] * 3)})
    assert read_table(table_bytes(table, ABOUT))[0].equals(table)


def test_long_columns_of_texts_are_read_as_they_were_written(monkeypatch):
    rows = 100_000
    table = pa.table(
        {
            "cell": pa.array([f"{number // 500:032x}" for number in range(rows)]),
            "note": pa.array([None if number % 3 else "λ" * (number % 7) for number in range(rows)]),
            "large": pa.array(["same"] * rows, pa.large_string()),
            "value": np.arange(rows, dtype=float),
        }
    )
    assert rows * 3 * 22 * len(content := table_bytes(table, ABOUT)) > tables._ALWAYS_ALLOWED
    assert read_table(content)[0].equals(table)


def repeated(text: str, rows: int) -> pa.Table:
    codes = pa.array(np.zeros(rows, np.int32))
    return pa.table({"a": pa.DictionaryArray.from_arrays(codes, pa.array([text]))})


@pytest.mark.parametrize(
    "table",
    [repeated("x" * 10_000, 2_000_000), pa.table({"a": pa.array(np.zeros(60_000_000))})],
    ids=["texts", "rows"],
)
def test_a_small_file_that_stands_for_a_large_table_takes_no_memory(table):
    content = table_bytes(table, {})
    before = pa.total_allocated_bytes()
    pool = pa.default_memory_pool()
    tracemalloc.start()
    with pytest.raises(DamagedError, match="ask for"):
        read_table(content)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken < MEBIBYTE
    assert pool.bytes_allocated() == before


def test_a_header_that_says_fewer_rows_than_its_groups_have_is_refused():
    table = pa.table({"a": pa.nulls(1000, pa.float64())}).replace_schema_metadata({b"normscope": b"{}"})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    content = sink.getvalue().to_pybytes()
    assert content.count(b"\x16\xd0\x0f\x19") == 1  # the file's number of rows; 500 in as many bytes is e8 07
    lying = content.replace(b"\x16\xd0\x0f\x19", b"\x16\xe8\x07\x19")
    assert pq.ParquetFile(pa.BufferReader(lying)).metadata.num_rows == 500
    assert read_table(content)[0].num_rows == 1000
    with pytest.raises(DamagedError, match="contradicts itself about the number of rows"):
        read_table(lying)


@pytest.mark.parametrize(
    "column",
    [
        *(pa.array([[1]]), pa.array([{"a": 1}]), pa.array([b"bytes"])),
        # These cannot all be converted to pandas.
        *(pa.array([1], pa.time64("ns")), pa.array([1], pa.timestamp("ns", "Nowhere/Nothing"))),
        *(pa.array([1], pa.date32()), pa.array([1], pa.duration("s")), pa.array([1.0], pa.float16())),
    ],
    ids=lambda column: str(column.type),
)
def test_columns_of_a_kind_that_is_never_written_are_refused(column):
    with pytest.raises(DamagedError, match="columns of a kind"):
        read_table(table_bytes(pa.table({"a": column}), {}))


def test_too_little_memory_is_not_damage(monkeypatch):
    def starve(*_: object, **__: object) -> None:
        raise pa.ArrowMemoryError("malloc of size 64 failed")

    monkeypatch.setattr(tables, "_read", starve)
    with pytest.raises(MemoryError):
        read_table(table_bytes(small_table(), ABOUT))
