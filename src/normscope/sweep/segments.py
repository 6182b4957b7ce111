"""Segments: finished cells by the hundred in one Parquet file, so that a hundred thousand read in seconds.

A segment holds the rows of its cells one after another, the key in the column ``cell``, and the cells' metadata by key
in its own. It is written whole and never changed; the single files it replaces are removed after it has its name, so a
crash in between leaves a cell twice, never not at all.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscope.atomic import atomic_write

if TYPE_CHECKING:
    import pyarrow as pa

METADATA = b"normscope"
"""Where in a Parquet file's metadata ours stands, as JSON."""

_PREFIX = "segment-"


class Segments:
    """The segments in ``folder``; newly written ones, another process's too, are seen on the next call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cells: dict[Path, dict[str, dict[str, Any]]] = {}

    def metadata(self) -> dict[str, dict[str, Any]]:
        """Every cell's metadata by key; of a cell that is in several segments, the newest one's."""
        oldest_first = reversed(self._index().values())
        return {key: about for cells in oldest_first for key, about in cells.items()}

    def rows(self, keys: Collection[str]) -> list[pa.Table]:
        """The rows of those cells that are in segments, each cell once, with the column ``cell``."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        wanted, tables = set(keys), []
        for path, cells in self._index().items():
            if here := wanted & cells.keys():
                table = pq.ParquetFile(path).read()
                tables.append(table.filter(pc.is_in(table["cell"], pa.array(sorted(here), type=pa.string()))))
                wanted -= here
        return tables

    def write(self, rows: Iterable[pa.Table], metadata: Mapping[str, Mapping[str, Any]]) -> None:
        """Write one new segment.

        Raises:
            OSError: what the disk refuses.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.concat_tables(table.replace_schema_metadata(None) for table in rows)
        labelled = table.replace_schema_metadata({METADATA: json.dumps({"cells": metadata}).encode()})
        with atomic_write(self._folder / f"{_PREFIX}{uuid.uuid4().hex}.parquet") as file:
            pq.write_table(labelled, file)

    def _index(self) -> dict[Path, dict[str, dict[str, Any]]]:
        """The cells of every segment, the newest segment first."""
        written = {path: path.stat().st_mtime_ns for path in self._folder.glob(f"{_PREFIX}*.parquet")}
        newest_first = sorted(written, key=lambda path: (written[path], path.name), reverse=True)
        known = self._cells
        self._cells = {path: known[path] if path in known else _cells_of(path) for path in newest_first}
        return self._cells


def is_segment(path: Path) -> bool:
    """Whether a file of the store is a segment."""
    return path.name.startswith(_PREFIX)


def _cells_of(path: Path) -> dict[str, dict[str, Any]]:
    """The cells of a segment; none when it is torn or not ours, so that they are run again."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return dict(json.loads(pq.read_schema(path).metadata[METADATA])["cells"])
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError):
        return {}
