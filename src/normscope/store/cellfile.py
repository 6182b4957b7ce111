"""A finished cell's file: its rows, each with the cell's key, and its metadata as JSON."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscope.disk.reading import read_file
from normscope.disk.tables import read_table, table_bytes
from normscope.errors import DamagedError, InputError
from normscope.protocol.table import schema
from normscope.store.metadata import CellSummary, summary_of

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST = 2**30
"""Number of bytes that a file of the store may have, so that reading any of them takes a bounded amount of memory."""


@dataclasses.dataclass(frozen=True)
class StoredCell:
    """A finished cell as the store keeps it."""

    rows: pa.Table
    """The schema's columns, then ``cell``, the key."""
    metadata: Mapping[str, Any]
    summary: CellSummary

    @property
    def seconds(self) -> float:
        """How long the cell took."""
        return self.summary.seconds


def cell_bytes(key: str, rows: pa.Table, metadata: Mapping[str, Any]) -> bytes:
    """The content of a finished cell's file.

    Raises:
        InputError: the rows cannot be kept, since they do not follow the shared schema or are too many.
    """
    import pyarrow as pa

    plain = rows.replace_schema_metadata(None)
    if not plain.schema.equals(schema()):
        raise InputError(
            "the rows of a cell have the columns of normscope.protocol.Rows and no others: return its table()."
        )
    labelled = plain.append_column("cell", pa.repeat(pa.scalar(key), len(rows)))
    content = table_bytes(labelled, {**metadata, "key": key})
    try:
        parse_cell(key, content)
    except DamagedError as error:
        raise InputError(f"the rows of a cell cannot be kept: {error}.") from None
    return content


def read_cell(path: Path) -> StoredCell:
    """The cell in a file.

    Raises:
        OSError, MemoryError: the file cannot be read now, or is missing.
        DamagedError: the file is damaged, not ours, or holds another cell than its name says.
    """
    return parse_cell(path.stem, read_file(path, LARGEST))


def parse_cell(key: str, content: bytes) -> StoredCell:
    """The cell of that key in the content of its file.

    Raises:
        MemoryError: there is too little memory now.
        DamagedError: the content is damaged, not ours, or holds another cell.
    """
    if len(content) > LARGEST:
        raise DamagedError(f"it has {len(content):,} bytes: at most {LARGEST:,} are expected")
    rows, metadata = read_table(content)
    check_columns(rows.schema)
    if metadata.get("key") != key or rows["cell"].unique().to_pylist() not in ([], [key]):
        raise DamagedError("it holds another cell than its name says")
    return StoredCell(rows.replace_schema_metadata(None), metadata, summary_of(metadata, key))


def check_columns(found: pa.Schema) -> None:
    """Verify that stored rows have the shared schema's columns, then ``cell``.

    Raises:
        DamagedError: they have others.
    """
    if not found.equals(_stored_schema()):
        raise DamagedError("its columns are not those of a cell's rows")


@functools.cache
def _stored_schema() -> pa.Schema:
    import pyarrow as pa

    return schema().append(pa.field("cell", pa.string()))
