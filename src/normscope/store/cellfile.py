"""A finished cell's file: its rows, each with the cell's key, and its metadata as JSON.

The metadata are data: a cell's function is named there, but nothing is ever imported because a file names it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscope.disk.atomic import atomic_write
from normscope.store.provenance import Provenance, provenance_of

if TYPE_CHECKING:
    import pyarrow as pa

METADATA = b"normscope"
"""The key under which a Parquet file's metadata hold ours, as JSON."""


@dataclasses.dataclass(frozen=True)
class StoredCell:
    """A finished cell as the store keeps it."""

    rows: pa.Table
    """The schema's columns, then ``cell``, the key."""
    metadata: Mapping[str, Any]

    @property
    def seconds(self) -> float:
        """How long the cell took."""
        return float(self.metadata["seconds"])


@dataclasses.dataclass(frozen=True, slots=True)
class CellSummary:
    """What a plan needs to know of a finished cell. It is small, since there may be a hundred thousand."""

    seconds: float
    provenance: Provenance

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> CellSummary:
        """The summary of a cell with this metadata."""
        return cls(float(metadata["seconds"]), provenance_of(metadata))


def write_cell(path: Path, rows: pa.Table, metadata: Mapping[str, Any]) -> None:
    """Write the cell whose key is the file's name.

    Raises:
        OSError: the disk refuses; no torn file is left behind.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    key = path.stem
    labelled = rows.append_column("cell", pa.repeat(pa.scalar(key), len(rows)))
    labelled = labelled.replace_schema_metadata({METADATA: json.dumps({**metadata, "key": key}).encode()})
    with atomic_write(path) as file:
        pq.write_table(labelled, file, write_page_checksum=True)


def read_cell(path: Path) -> StoredCell | None:
    """The cell in a file; ``None`` when the file is damaged, not ours, or holds another cell.

    Raises:
        OSError: the file cannot be read at all.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = pa.BufferReader(path.read_bytes())
    try:
        rows = pq.ParquetFile(content, page_checksum_verification=True).read(use_threads=False)
        metadata = json.loads((rows.schema.metadata or {})[METADATA])
        named = {metadata["key"], *rows["cell"].unique().to_pylist()} == {path.stem}
        return StoredCell(rows, {**metadata, "seconds": float(metadata["seconds"])}) if named else None
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError):
        return None
