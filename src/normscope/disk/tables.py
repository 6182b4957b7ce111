"""Parquet files with a checksum over every byte, read in bounded memory.

The metadata of a file have two entries of ours: ``normscope``, a JSON object, and ``normscope.sha256``, the checksum.
It is the SHA-256 of the whole file with 64 zeros in the checksum's place. So the checksum travels with the file, and
any other program reads the file as Parquet. The JSON object says that there is a checksum: a file that has lost it is
damaged, while one that never had it, of an older version, can still be read.

A file that says little may stand for much: a column that repeats one text a billion times takes a few bytes. So the
memory that a file's header asks for is compared with the length of the file before it is taken.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from normscope.disk.footers import codecs
from normscope.disk.sealing import parse_json
from normscope.errors import DamagedError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

METADATA = b"normscope"
"""The key under which a file's metadata hold ours, as JSON."""

_SEAL = b"normscope.sha256"
_MARK = _SEAL + b"\x18\x40"  # as Parquet writes the key and, before the value, its type and length
_DIGITS = 64
_SEALED = "sealed"
_ALWAYS_ALLOWED = 2**28
_TIMES_ITS_LENGTH = 100
_SNAPPY = 22  # Snappy makes at most 64 bytes of 3.
_CODECS = {0, 1}  # none and Snappy
_WIDTH = 8
_FOR_WRITING = 2**22


def table_bytes(table: pa.Table, metadata: Mapping[str, Any]) -> bytes:
    """A Parquet file that holds a table, an object of JSON values, and the checksum of the whole file.

    Raises:
        MemoryError: there is too little memory now.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    ours = json.dumps({**metadata, _SEALED: True}).encode()
    about = {**(table.schema.metadata or {}), METADATA: ours, _SEAL: b"0" * _DIGITS}
    # Arrow's writer ends the process when it gets no memory; Python can say so. So Python asks for as much first.
    bytearray(2 * table.nbytes + _FOR_WRITING)
    sink = pa.BufferOutputStream()
    # Nobody asks for the statistics of a column, and without them the footer is read faster.
    pq.write_table(
        table.replace_schema_metadata(about), sink, write_page_checksum=True, write_statistics=False
    )
    content: bytes = sink.getvalue().to_pybytes()
    start = content.rindex(_MARK) + len(_MARK)
    return content[:start] + _digest(content, start) + content[start + _DIGITS :]


def read_table(content: bytes) -> tuple[pa.Table, dict[str, Any]]:
    """The table and the object of JSON values that :func:`table_bytes` was given.

    A file that has no checksum, since an older version wrote it, is read as it is.

    Raises:
        DamagedError: the content is something else or not what was written, or asks for too much memory.
        MemoryError: there is too little memory now.
    """
    with _damage_found():
        file, schema, metadata = _open(content)
        table = _read(file, schema, content)
        table.validate(full=True)
    return table, metadata


def read_metadata(content: bytes) -> tuple[pa.Schema, dict[str, Any]]:
    """The columns of a table and the object of JSON values; the rows of a file with a checksum are sound, too.

    Raises:
        DamagedError: as :func:`read_table`.
        MemoryError: there is too little memory now.
    """
    with _damage_found():
        _, schema, metadata = _open(content)
    return schema, metadata


@contextlib.contextmanager
def _damage_found() -> Iterator[None]:
    """Turn what Arrow raises for a damaged file into one error."""
    import pyarrow as pa

    try:
        yield
    except MemoryError:  # Arrow's is an ArrowException as well.
        raise
    except (pa.ArrowException, OSError, LookupError, ValueError, TypeError, ArithmeticError) as error:
        raise error if isinstance(error, DamagedError) else DamagedError("it is not a table") from None


def _open(content: bytes) -> tuple[pq.ParquetFile, pa.Schema, dict[str, Any]]:
    """The file, its columns and our metadata, once its checksum and the sizes in its header are verified."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    is_sealed = _check_seal(content)
    file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
    schema = file.schema_arrow
    metadata = parse_json((schema.metadata or {})[METADATA])
    if not isinstance(metadata, dict) or (metadata.pop(_SEALED, False) and not is_sealed):
        raise DamagedError("its content does not match its checksum")
    _check_header(file, schema, content)
    return file, schema, metadata


def _digest(content: bytes, start: int) -> bytes:
    digest = hashlib.sha256(memoryview(content)[:start])
    digest.update(b"0" * _DIGITS)
    digest.update(memoryview(content)[start + _DIGITS :])
    return digest.hexdigest().encode()


def _check_seal(content: bytes) -> bool:
    """Whether there is a checksum; it is verified."""
    if (found := content.rfind(_MARK)) < 0:
        return False
    start = found + len(_MARK)
    if content[start : start + _DIGITS] != _digest(content, start):
        raise DamagedError("its content does not match its checksum")
    return True


def _check_header(file: pq.ParquetFile, schema: pa.Schema, content: bytes) -> None:
    """Refuse columns of a kind that is never written, and more rows than a file of this length can stand for."""
    import pyarrow.types as kinds

    numbers = (kinds.is_integer, kinds.is_float32, kinds.is_float64, kinds.is_boolean)
    written = (*numbers, kinds.is_string, kinds.is_large_string, kinds.is_null)
    types = schema.types
    if not all(any(is_kind(value_type(kind)) for is_kind in written) for kind in {*types}):
        raise DamagedError("it has columns of a kind that no table of normscope's has")
    if not codecs(content) <= _CODECS:
        raise DamagedError("it is compressed in a way that no table of normscope's is")
    about = file.metadata
    # Each group of rows says its number, too, and Arrow reads as many.
    rows = sum(about.row_group(number).num_rows for number in range(about.num_row_groups))
    if rows != about.num_rows:
        raise DamagedError("its header contradicts itself about the number of rows")
    _check_size(rows * len(types) * _WIDTH, len(content))


def _read(file: pq.ParquetFile, schema: pa.Schema, content: bytes) -> pa.Table:
    """The rows. Long columns of texts are first read as codes, until it is known how long the texts are in all."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    texts = [field.name for field in schema if not pa.types.is_primitive(value_type(field.type))]
    longest = _SNAPPY * len(content)
    if file.metadata.num_rows * len(texts) * longest <= _ALWAYS_ALLOWED:
        return file.read(use_threads=False)
    table = pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts).read(use_threads=False)
    size = 0
    for name in texts:
        for chunk in table[name].chunks:
            if pa.types.is_dictionary(chunk.type):
                lengths = pc.take(pc.binary_length(chunk.dictionary), chunk.indices)
                size += pc.sum(lengths).as_py() or 0
    _check_size(size, len(content))
    return table.cast(pa.schema(schema, table.schema.metadata))


def value_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values of a column that is stored as codes, else the type itself."""
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _check_size(size: int, length: int) -> None:
    if size > _ALWAYS_ALLOWED + _TIMES_ITS_LENGTH * length:
        raise DamagedError(f"its {length:,} bytes ask for {size:,} bytes of memory")
