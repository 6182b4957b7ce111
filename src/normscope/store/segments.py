"""Segments: hundreds of finished cells in one Parquet file, so that a hundred thousand are read in seconds.

A segment holds the rows of its cells one after another, the key in the column ``cell``, and the cells' metadata by key
in its own metadata. Its name is ``segment-<number>-<digest>.parquet``. The number says which segment is newer: it is
taken under the compaction lock and does not depend on the clock. The digest is the hash of the file's bytes. Whoever
reads rows reads the file in one piece and verifies both, the digest and the checksum within.

A segment is written whole and never changed. The files that it replaces are removed after it has its name, so a crash
in between may duplicate a cell but never loses one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscope.disk.atomic import atomic_write
from normscope.disk.reading import names_in, read_file
from normscope.disk.tables import read_metadata, read_table, table_bytes
from normscope.errors import DamagedError, NormscopeWarning
from normscope.store.cellfile import LARGEST, check_columns
from normscope.store.errors import reading
from normscope.store.metadata import CellSummary, summary_of

if TYPE_CHECKING:
    import pyarrow as pa

# The second form, without number and digest, is of an earlier version: older than any segment with a number.
_NAME = re.compile(r"segment-(?:([0-9]{8,12})-([0-9a-f]{16})|[0-9a-f]{32})\.parquet")
_LARGEST_NUMBER = 10**12 - 1
_CELLS = "cells"


@dataclasses.dataclass(frozen=True)
class SegmentIndex:
    """What is in a segment.

    Attributes:
        cells: its cells by key.
        damaged: the names of its entries that are no cells, in a file that is otherwise whole.
    """

    cells: Mapping[str, CellSummary] = dataclasses.field(default_factory=dict)
    damaged: tuple[str, ...] = ()


class Segments:
    """The segments in a store's folder. A call sees every segment written before it, by any process.

    Args:
        folder: the store's folder.
        set_aside: called with the path of a damaged segment and what is wrong with it.
    """

    def __init__(self, folder: Path, set_aside: Callable[[Path, DamagedError], object]) -> None:
        self._folder, self._set_aside = folder, set_aside
        self._known: dict[Path, SegmentIndex] = {}

    def cells(self) -> dict[str, CellSummary]:
        """Every cell by key. A cell that is in several segments counts as in the newest of them."""
        oldest_first = reversed(self.contents().values())
        return {key: summary for index in oldest_first for key, summary in index.cells.items()}

    def find(self, key: str) -> CellSummary | None:
        """One cell, or ``None``, at a cost that does not grow with the number of cells."""
        return next((index.cells[key] for index in self.contents().values() if key in index.cells), None)

    def contents(self) -> dict[Path, SegmentIndex]:
        """What is in every segment, the newest segment first.

        Raises:
            StoreError: the folder or a segment cannot be read now.
        """
        newest_first = sorted(self._paths(), key=lambda path: (_number(path), path.name), reverse=True)
        known, self._known = self._known, {}
        for path in newest_first:
            self._known[path] = known[path] if path in known else self._index(path)
        return dict(self._known)

    def rows(self, keys: Collection[str]) -> Iterator[tuple[set[str], pa.Table]]:
        """The rows of the cells among ``keys`` that are in segments: each cell's once, with its key in ``cell``.

        Yields:
            The keys of some cells, and their rows.

        Raises:
            StoreError: the folder or a segment cannot be read now.
        """
        wanted = set(keys)
        is_complete = False
        while not is_complete:
            is_complete = True
            for path, index in self.contents().items():
                if not (found := wanted & index.cells.keys()):
                    continue
                if (content := self.read(path, found)) is None:
                    is_complete = (
                        False  # Another segment may have its cells: an older one, or one that replaces it.
                    )
                    break
                yield found, content[0]
                wanted -= found

    def read(self, path: Path, keys: Collection[str]) -> tuple[pa.Table, dict[str, dict[str, Any]]] | None:
        """The rows and the metadata of some of a segment's cells; ``None`` when it is damaged or gone.

        Raises:
            StoreError: the segment cannot be read now.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        with reading(path):
            try:
                table, metadata = _parsed(_content(path))
                if not set(keys) <= metadata.keys():
                    raise DamagedError("its cells are not those that it has had")
                rows = table.filter(pc.is_in(table["cell"], pa.array(sorted(keys), type=pa.string())))
                return rows, {key: metadata[key] for key in keys}
            except FileNotFoundError:
                self._known.pop(path, None)
            except DamagedError as error:
                self._known[path] = SegmentIndex()
                self._set_aside(path, error)
        return None

    def write(self, rows: Iterable[pa.Table], metadata: Mapping[str, Mapping[str, Any]]) -> Path:
        """Write a new segment, which is the newest. Call it under the compaction lock or in exclusive use.

        Raises:
            OSError: the disk refuses.
            DamagedError: so many rows in one file would not be read back, or somebody has given a segment the largest
                number; nothing is written.
        """
        content = segment_bytes(rows, metadata)
        _parsed(content)
        number = 1 + max((_number(path) for path in self._paths()), default=0)
        if number > _LARGEST_NUMBER:
            raise DamagedError(f"no segment in {self._folder} can be newer than the newest: remove that one.")
        path = self._folder / f"segment-{number:08d}-{_digest(content)}.parquet"
        with atomic_write(path) as file:
            file.write(content)
        return path

    def _paths(self) -> list[Path]:
        with reading(self._folder):
            return [self._folder / name for name in names_in(self._folder) if _NAME.fullmatch(name)]

    def _index(self, path: Path) -> SegmentIndex:
        """What is in a segment; nothing when it is damaged or gone, so that its cells run again."""
        with reading(path):
            try:
                index = _indexed(path)
            except FileNotFoundError:
                return SegmentIndex()
            except DamagedError as error:
                self._set_aside(path, error)
                return SegmentIndex()
        if index.damaged:
            warnings.warn(
                f"{path} has damaged metadata of {len(index.damaged):,} cells, which count as missing, such as "
                f"{index.damaged[0]!r:.40}; 'normscope clean' removes them.",
                NormscopeWarning,
                stacklevel=2,
            )
        return index


def segment_bytes(rows: Iterable[pa.Table], metadata: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The content of a segment of these cells."""
    import pyarrow as pa

    return table_bytes(pa.concat_tables(rows), {_CELLS: metadata})


def _content(path: Path) -> bytes:
    """The bytes of a segment, which its name is compared with."""
    content = read_file(path, LARGEST)
    match = _NAME.fullmatch(path.name)
    if match is not None and match[2] is not None and match[2] != _digest(content):
        raise DamagedError("its bytes do not match the digest in its name")
    return content


def _parsed(content: bytes) -> tuple[pa.Table, dict[str, Any]]:
    """The rows of a segment, and the metadata of its cells by key."""
    if len(content) > LARGEST:
        raise DamagedError(f"it has {len(content):,} bytes: at most {LARGEST:,} are expected")
    table, metadata = read_table(content)
    check_columns(table.schema)
    return table.replace_schema_metadata(None), _entries(metadata)


def _indexed(path: Path) -> SegmentIndex:
    content = _content(path)
    if _number(path):
        columns, metadata = read_metadata(content)
        check_columns(columns)
        entries = _entries(metadata)
    else:  # Its name has no digest, so only its pages can tell whether it is whole.
        _, entries = _parsed(content)
    cells, damaged = {}, []
    for key, about in entries.items():
        try:
            cells[key] = summary_of(about, key)
        except DamagedError:
            damaged.append(key)
    return SegmentIndex(cells, tuple(damaged))


def _entries(metadata: Mapping[str, Any]) -> dict[str, Any]:
    entries = metadata.get(_CELLS)
    if not isinstance(entries, dict):
        raise DamagedError("its metadata are not those of a segment")
    return entries


def _number(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match[1] or 0) if match else 0


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
