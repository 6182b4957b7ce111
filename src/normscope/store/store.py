"""The store: a folder that holds one Parquet file for each finished cell, named by the cell's key.

A file is written under a temporary name, flushed to the disk and renamed into place. So a file under its final name is
whole, whenever the run was killed. A file that is damaged all the same, or holds another cell than its name says, is
moved to ``_unreadable/`` and its cell runs again. The cell's function, configuration, duration and versions are in the
file's metadata.

When there are many files they are gathered into :mod:`segments <normscope.store.segments>`. A file counts before a
segment, and a newer segment before an older one. ``pandas.read_parquet`` reads the folder: every row has its cell's
key. Files that are not named like the store's own are never touched.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscope.disk.atomic import atomic_write, check_writable, leftovers
from normscope.protocol import Cell, empty_table
from normscope.store.cellfile import CellSummary, StoredCell, read_cell, write_cell
from normscope.store.errors import StoreError, cannot_write
from normscope.store.locks import compaction_lock
from normscope.store.segments import Segments, read_segment

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MANY_FILES = 256
"""Number of files at which a store gathers them into a segment."""

ASIDE = "_unreadable"
"""The folder within the store's for damaged files."""

_SEGMENT_BYTES = 2**26
_KEY = re.compile(r"[0-9a-f]{32}")


class Store:
    """Finished cells in ``folder``.

    Args:
        folder: where they are; made, with its parents, on the first write.
        compact_at: number of files at which :meth:`compact` gathers them into a segment.

    Attributes:
        set_aside: number of damaged files that this object has found.
    """

    def __init__(self, folder: Path, compact_at: int = MANY_FILES) -> None:
        self.folder = Path(folder)
        self.compact_at = compact_at
        self.set_aside = 0
        self._lock = compaction_lock(self.folder)
        self.segments = Segments(self.folder, self._set_aside)

    def check_writable(self) -> None:
        """Make the folder and write to it, so that no run starts whose results could not be kept.

        Raises:
            StoreError: the folder cannot be made or written.
        """
        try:
            check_writable(self.folder)
        except OSError as error:
            raise StoreError(
                f"cannot write to {self.folder}: {error.strerror or error}; name a folder that can be written."
            ) from error

    def path(self, key: str) -> Path:
        """The file for the cell of that key."""
        return self.folder / f"{key}.parquet"

    def write(self, key: str, rows: pa.Table, metadata: Mapping[str, Any]) -> None:
        """Keep a finished cell.

        Raises:
            StoreError: the disk is full or the folder cannot be written; no torn file is left behind.
        """
        try:
            write_cell(self.path(key), rows, metadata)
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def write_file(self, key: str, content: bytes) -> None:
        """Keep a finished cell whose file another store has written; raises as :meth:`write` does."""
        try:
            with atomic_write(self.path(key)) as file:
                file.write(content)
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def keys(self) -> set[str]:
        """The keys of all cells in files and segments; the cells' files are not read."""
        return {*self.single_files(), *self.segments.cells()}

    def find(self, keys: Collection[str]) -> dict[str, CellSummary]:
        """The summaries of the finished cells among ``keys``, by key.

        Raises:
            StoreError: the folder cannot be read.
        """
        single, files = self.single_files(), {}
        for key in keys:
            if key in single and (stored := self._read_file(key)) is not None:
                files[key] = CellSummary.of(stored.metadata)
        # Read after the files, so that cells compacted in the meantime are found here.
        compacted = self.segments.cells()
        return {key: files.get(key) or compacted[key] for key in keys if key in files or key in compacted}

    def find_one(self, key: str) -> CellSummary | None:
        """The summary of one cell, or ``None``, at a cost that does not grow with the number of cells.

        Raises:
            StoreError: the folder cannot be read.
        """
        stored = self._read_file(key)
        return CellSummary.of(stored.metadata) if stored is not None else self.segments.find(key)

    def read(self, key: str) -> StoredCell | None:
        """The finished cell of that key, or ``None``.

        Raises:
            StoreError: the folder cannot be read.
        """
        stored = self._read_file(key)
        if stored is None:
            for path, cells in self.segments.contents().items():
                if key in cells:
                    rows, metadata = read_segment(path, [key])
                    return StoredCell(rows, metadata[key])
        return stored

    def table(self, cells: Mapping[str, Cell]) -> pd.DataFrame:
        """The rows of every finished cell among ``cells`` (by key), in their order, the configuration joined to each.

        Columns: the schema's, then ``cell`` (the key), ``function``, and each configuration's fields.

        Raises:
            StoreError: the folder cannot be read.
        """
        import pandas as pd
        import pyarrow as pa

        single = self.single_files()
        read = {key: self._read_file(key) for key in cells if key in single}
        found = {key: stored.rows for key, stored in read.items() if stored is not None}
        try:
            compacted = list(self.segments.rows(cells.keys() - found.keys()))
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"cannot read {self.folder}: {error}; run the same command again.") from error
        tables = [
            table.replace_schema_metadata(None) for table in (*found.values(), *compacted) if len(table)
        ]
        if not tables:
            return empty_table()
        rows = pa.concat_tables(tables).to_pandas()
        places = {key: place for place, key in enumerate(cells)}
        in_order = rows.iloc[rows["cell"].map(places).argsort(kind="stable")]
        present = set(rows["cell"])
        configs = pd.DataFrame(
            [{"cell": key, **_columns(cell)} for key, cell in cells.items() if key in present]
        )
        joined: pd.DataFrame = in_order.merge(configs, on="cell", how="left")
        return joined

    def compact(self) -> None:
        """Gather the cells' files into segments when there are many; other processes may use the store meanwhile.

        Raises:
            StoreError: the disk refuses; nothing is lost.
        """
        if len(self.single_files()) < self.compact_at:
            return
        try:
            with self._lock:
                self._gather()
        except OSError as error:
            raise cannot_write(self.folder, error) from error

    def remove_leftovers(self) -> None:
        """Remove the temporary files of dead writers."""
        for path in leftovers(self.folder):
            path.unlink(missing_ok=True)

    def single_files(self) -> set[str]:
        """The keys of the cells that have files of their own."""
        return {path.stem for path in self.folder.glob("*.parquet") if _KEY.fullmatch(path.stem)}

    def _gather(self) -> None:
        """Gather the cells' files into segments of a bounded size."""
        batch: dict[str, tuple[StoredCell, os.stat_result]] = {}
        size = 0
        for key in sorted(self.single_files()):
            path = self.path(key)
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                if (stored := self._read_file(key)) is not None:
                    batch[key] = stored, state
                    size += stored.rows.nbytes
            if size > _SEGMENT_BYTES:
                self._seal(batch)
                batch, size = {}, 0
        if batch:
            self._seal(batch)

    def _seal(self, batch: Mapping[str, tuple[StoredCell, os.stat_result]]) -> None:
        """Write a segment, then remove the files that are in it, except those that have been rewritten since."""
        cells = {key: stored for key, (stored, _) in batch.items()}
        metadata = {key: stored.metadata for key, stored in cells.items()}
        self.segments.write([stored.rows for stored in cells.values()], metadata)
        for key, (_, state) in batch.items():
            with contextlib.suppress(FileNotFoundError):
                now = self.path(key).stat()
                if (now.st_ino, now.st_mtime_ns) == (state.st_ino, state.st_mtime_ns):
                    self.path(key).unlink()

    def _read_file(self, key: str) -> StoredCell | None:
        path = self.path(key)
        try:
            stored = read_cell(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror or error}.") from error
        if stored is None:
            self._set_aside(path)
        return stored

    def _set_aside(self, path: Path) -> None:
        """Move a damaged file out of the way. If it cannot be moved, it stays and counts as missing all the same."""
        self.set_aside += 1
        with contextlib.suppress(OSError), self._lock:
            aside = self.folder / ASIDE
            aside.mkdir(exist_ok=True)
            if not _KEY.fullmatch(path.stem) or read_cell(path) is None:
                path.replace(aside / path.name)


def _columns(cell: Cell) -> dict[str, Any]:
    """The columns that a cell adds to its rows: its function and full configuration, tuples as JSON."""
    config = dataclasses.asdict(cell.config)
    texts = {name: json.dumps(value) if isinstance(value, tuple) else value for name, value in config.items()}
    return {"function": cell.name, **texts}
