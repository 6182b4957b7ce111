import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from normscope.disk.footers import codecs
from normscope.disk.tables import read_table
from normscope.errors import DamagedError

NUMBERS = {"none": 0, "snappy": 1, "gzip": 2, "brotli": 4, "zstd": 6, "lz4": 7}


def parquet(**options) -> bytes:
    table = pa.table({"a": ["x", "y", None], "b": [1, 2, 3], "c": [True, False, True], "d": [0.1, 0.2, 0.3]})
    sink = pa.BufferOutputStream()
    metadata = {b"normscope": b"{}", b"long": b"x" * 300}
    pq.write_table(table.replace_schema_metadata(metadata), sink, **options)
    return sink.getvalue().to_pybytes()


def with_footer(footer: bytes) -> bytes:
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


@pytest.mark.parametrize(("name", "number"), NUMBERS.items())
def test_the_codec_of_all_columns_is_found(name, number):
    assert codecs(parquet(compression=name, row_group_size=1, write_page_index=True)) == {number}


def test_the_codecs_of_several_columns_are_found():
    each = dict(zip("abcd", ("none", "snappy", "zstd", "gzip"), strict=True))
    assert codecs(parquet(compression=each)) == {0, 1, 2, 6}


@pytest.mark.parametrize("name", ["gzip", "brotli", "zstd", "lz4"])
def test_a_table_in_a_codec_that_stands_for_much_is_refused_before_it_is_unpacked(name):
    with pytest.raises(DamagedError, match="compressed in a way"):
        read_table(parquet(compression={"a": "snappy", "b": name}))


NO_FOOTERS = {
    "empty": b"",
    "short": b"PAR1",
    "longer than the file": b"PAR1" + b"\xff" * 4 + b"PAR1",
    "torn": with_footer(b"\x15"),
    "a list longer than any file": with_footer(b"\x19\xfc" + b"\xff" * 9 + b"\x01"),
    "a list of truths longer than any file": with_footer(b"\x19\xf1" + b"\xff" * 9 + b"\x01" + b"\x00" * 99),
    "structures within structures": with_footer(b"\x1c" * 10_000),
    "lists within lists": with_footer(b"\x19" * 10_000),
    "a text of 2**63 bytes": with_footer(b"\x18" + b"\xff" * 8 + b"\x7f"),
    "a mapping": with_footer(b"\x1b\x00"),
    "a number of 1000 bytes": with_footer(b"\x15" + b"\xff" * 1000 + b"\x00"),
    "too many fields": with_footer(b"\x11" * (2**20 + 1) + b"\x00"),
}


@pytest.mark.parametrize("content", NO_FOOTERS.values(), ids=NO_FOOTERS)
def test_what_is_no_footer_is_damaged(content):
    with pytest.raises(DamagedError):
        codecs(content)


def test_bytes_at_random_end_in_codecs_or_are_damaged():
    dice = random.Random(15)
    content = parquet()
    found = set()
    for _ in range(3000):
        damaged = bytearray(content)
        for _ in range(4):
            damaged[dice.randrange(len(content))] = dice.randrange(256)
        try:
            found |= codecs(bytes(damaged))
        except DamagedError:
            found.add("damaged")
    assert {1, "damaged"} <= found
