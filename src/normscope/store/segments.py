"""Segments: finished cells by the hundred in one Parquet file, so that a hundred thousand read in seconds.

A segment holds the rows of its cells one after another, the key in the column ``cell``, and the cells' metadata by key
in its own. Its name, ``segment-<number>-<digest>.parquet``, says which is newer (the number is taken under the store's
lock, whatever the clock says) and what its bytes must hash to. It is written whole and never changed; what it replaces
is removed after it has its name, so a crash in between leaves a cell twice, never not at all.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscope.atomic import atomic_write, sync_folder
from normscope.store.cellfile import METADATA
from normscope.store.provenance import Provenance, provenance_of

if TYPE_CHECKING:
    import pyarrow as pa

# The second form is without number and digest: older than any with.
_NAME = re.compile(r"segment-(?:(\d{8})-([0-9a-f]{16})|[0-9a-f]{32})\.parquet")


@dataclasses.dataclass(frozen=True, slots=True)
class About:
    """What a plan needs to know of a finished cell: little, since there may be a hundred thousand."""

    seconds: float
    provenance: Provenance

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> About:
        """From a cell's metadata."""
        return cls(float(metadata["seconds"]), provenance_of(metadata))


class Segments:
    """The segments in ``folder``; newly written ones, another process's too, are seen on the next call.

    Args:
        folder: the store's.
        set_aside: what to do with a segment that cannot be read.
    """

    def __init__(self, folder: Path, set_aside: Callable[[Path], object]) -> None:
        self._folder, self._set_aside = folder, set_aside
        self._known: dict[Path, dict[str, About]] = {}

    def cells(self) -> dict[str, About]:
        """Every cell by key; of a cell that is in several segments, the newest one's."""
        oldest_first = reversed(self.contents().values())
        return {key: about for cells in oldest_first for key, about in cells.items()}

    def find(self, key: str) -> About | None:
        """One cell of them, at a cost that does not grow with the number of cells."""
        return next((cells[key] for cells in self.contents().values() if key in cells), None)

    def contents(self) -> dict[Path, dict[str, About]]:
        """The cells of every segment, the newest segment first."""
        newest_first = sorted(self._paths(), key=lambda path: (_number(path), path.name), reverse=True)
        known, self._known = self._known, {}
        for path in newest_first:
            self._known[path] = known[path] if path in known else self._index(path)
        return dict(self._known)

    def rows(self, keys: Collection[str]) -> Iterator[pa.Table]:
        """The rows of those cells that are in segments, each cell once, with the column ``cell``."""
        wanted = set(keys)
        for path, cells in self.contents().items():
            if here := wanted & cells.keys():
                yield read_segment(path, here)[0]
                wanted -= here

    def write(self, rows: Iterable[pa.Table], metadata: Mapping[str, Mapping[str, Any]]) -> Path:
        """Write one new segment, the newest; call it under the store's lock.

        Raises:
            OSError: what the disk refuses.
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

    def _index(self, path: Path) -> dict[str, About]:
        """The cells of a segment; none when it is damaged or gone, so that they are run again."""
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
                raise ValueError("its bytes are not those that its name says")
            cells = json.loads(pq.read_schema(io.BytesIO(content)).metadata[METADATA])["cells"]
            return {key: About.of(metadata) for key, metadata in cells.items()}
        except (pa.ArrowException, OSError, KeyError, ValueError, TypeError, AttributeError):
            self._set_aside(path)
            return {}


def read_segment(path: Path, keys: Collection[str]) -> tuple[pa.Table, dict[str, dict[str, Any]]]:
    """The rows and the metadata of some of a segment's cells.

    Raises:
        OSError, pa.ArrowException: when the file cannot be read.
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
