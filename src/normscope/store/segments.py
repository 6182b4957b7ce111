"""Segments: hundreds of finished cells in one Parquet file, so that a hundred thousand are read in seconds.

A segment holds the rows of its cells one after another, the key in the column ``cell``, and the cells' metadata by key
in its own metadata. Its name is ``segment-<number>-<digest>.parquet``. The number says which segment is newer: it is
taken under the compaction lock and does not depend on the clock. The digest is the hash of the file's bytes.

A segment is written whole and never changed. The files that it replaces are removed after it has its name, so a crash
in between may duplicate a cell but never loses one.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscope.disk.atomic import atomic_write, sync_folder
from normscope.store.cellfile import METADATA, CellSummary

if TYPE_CHECKING:
    import pyarrow as pa

# The second form, without number and digest, is of an earlier version: older than any segment with a number.
_NAME = re.compile(r"segment-(?:(\d{8})-([0-9a-f]{16})|[0-9a-f]{32})\.parquet")


class Segments:
    """The segments in a store's folder. A call sees every segment written before it, by any process.

    Args:
        folder: the store's folder.
        set_aside: called with the path of a segment that cannot be read.
    """

    def __init__(self, folder: Path, set_aside: Callable[[Path], object]) -> None:
        self._folder, self._set_aside = folder, set_aside
        self._known: dict[Path, dict[str, CellSummary]] = {}

    def cells(self) -> dict[str, CellSummary]:
        """Every cell by key. A cell that is in several segments counts as in the newest of them."""
        oldest_first = reversed(self.contents().values())
        return {key: summary for cells in oldest_first for key, summary in cells.items()}

    def find(self, key: str) -> CellSummary | None:
        """One cell, or ``None``, at a cost that does not grow with the number of cells."""
        return next((cells[key] for cells in self.contents().values() if key in cells), None)

    def contents(self) -> dict[Path, dict[str, CellSummary]]:
        """The cells of every segment, the newest segment first."""
        newest_first = sorted(self._paths(), key=lambda path: (_number(path), path.name), reverse=True)
        known, self._known = self._known, {}
        for path in newest_first:
            self._known[path] = known[path] if path in known else self._index(path)
        return dict(self._known)

    def rows(self, keys: Collection[str]) -> Iterator[pa.Table]:
        """The rows of the cells among ``keys`` that are in segments, each cell once, with the column ``cell``."""
        wanted = set(keys)
        for path, cells in self.contents().items():
            if here := wanted & cells.keys():
                yield read_segment(path, here)[0]
                wanted -= here

    def write(self, rows: Iterable[pa.Table], metadata: Mapping[str, Mapping[str, Any]]) -> Path:
        """Write a new segment, which is the newest. Call it under the compaction lock or in exclusive use.

        Raises:
            OSError: the disk refuses.
        """
        content = segment_bytes(rows, metadata)
        number = 1 + max((_number(path) for path in self._paths()), default=0)
        path = self._folder / f"segment-{number:08d}-{_digest(content)}.parquet"
        with atomic_write(path) as file:
            file.write(content)
        sync_folder(self._folder)
        return path

    def _paths(self) -> list[Path]:
        try:
            names = os.listdir(self._folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [self._folder / name for name in names if _NAME.fullmatch(name)]

    def _index(self, path: Path) -> dict[str, CellSummary]:
        """The cells of a segment; none when it is damaged or gone, so that its cells run again."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            match = _NAME.fullmatch(path.name)
            if match is None or match[2] is None:
                pq.read_table(io.BytesIO(content))
            elif match[2] != _digest(content):
                raise ValueError("its bytes do not match the digest in its name")
            cells = json.loads(pq.read_schema(io.BytesIO(content)).metadata[METADATA])["cells"]
            return {key: CellSummary.of(metadata) for key, metadata in cells.items()}
        except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, AttributeError):
            self._set_aside(path)
            return {}


def read_segment(path: Path, keys: Collection[str]) -> tuple[pa.Table, dict[str, dict[str, Any]]]:
    """The rows and the metadata of some of a segment's cells.

    Raises:
        OSError, pa.ArrowException: the file cannot be read.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path).read()
    metadata = json.loads(table.schema.metadata[METADATA])["cells"]
    rows = table.filter(pc.is_in(table["cell"], pa.array(sorted(keys), type=pa.string())))
    return rows, {key: metadata[key] for key in keys}


def segment_bytes(rows: Iterable[pa.Table], metadata: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The content of a segment of these cells."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.concat_tables(table.replace_schema_metadata(None) for table in rows)
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({METADATA: json.dumps({"cells": metadata}).encode()}), sink)
    return sink.getvalue()


def _number(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match[1] or 0) if match else 0


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
