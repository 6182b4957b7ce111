"""A finished cell's file: its rows, each with the cell's key, and its metadata as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscope.atomic import atomic_write

if TYPE_CHECKING:
    import pyarrow as pa

METADATA = b"normscope"
"""Where in a Parquet file's metadata ours stands, as JSON."""


@dataclasses.dataclass(frozen=True)
class StoredCell:
    """A finished cell as it stands in the store."""

    rows: pa.Table
    """The schema's columns, then ``cell``, the key."""
    metadata: Mapping[str, Any]

    @property
    def seconds(self) -> float:
        """How long the cell took."""
        return float(self.metadata["seconds"])


def write_cell(path: Path, rows: pa.Table, metadata: Mapping[str, Any]) -> None:
    """Write a cell whose key is the file's name.

    Raises:
        OSError: what the disk refuses; no torn file is left behind.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    key = path.stem
    labelled = rows.append_column("cell", pa.repeat(pa.scalar(key), len(rows)))
    labelled = labelled.replace_schema_metadata({METADATA: json.dumps({**metadata, "key": key}).encode()})
    with atomic_write(path) as file:
        pq.write_table(labelled, file, write_page_checksum=True)


def read_cell(path: Path) -> StoredCell | None:
    """The cell in a file; ``None`` when it is damaged, not ours, or another cell's.

    Raises:
        OSError: when the file cannot be read at all.
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
