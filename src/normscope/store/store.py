"""The store: a folder that holds one Parquet file for each finished cell, named by the cell's key.

A file is written under a temporary name, flushed to the disk and renamed into place. So a file under its final name is
whole, whenever the run was killed. A file that is damaged all the same, or holds another cell than its name says, is
moved to ``_unreadable/`` and its cell runs again; so is anything else in a file's place, such as a link. A file that
the system cannot read now is an error, and stays. The cell's function, configuration, duration and versions are in the
file's metadata.

When there are many files they are gathered into :mod:`segments <normscope.store.segments>`. A file counts before a
segment, and a newer segment before an older one. ``pandas.read_parquet`` reads the folder: every row has its cell's
key. Files that are not named like the store's own are never touched.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscope.disk.aside import set_aside
from normscope.disk.atomic import atomic_write, check_writable, leftovers, sync_folder
from normscope.disk.reading import names_in
from normscope.errors import DamagedError, NormscopeWarning
from normscope.protocol import Cell
from normscope.store.cellfile import StoredCell, cell_bytes, read_cell
from normscope.store.errors import StoreError, check_real, reading, writing
from normscope.store.joining import joined
from normscope.store.locks import compaction_lock
from normscope.store.metadata import KEY, CellSummary
from normscope.store.segments import Segments

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MANY_FILES = 256
"""Number of files at which a store gathers them into a segment."""

_SEGMENT_BYTES = 2**26
_METADATA_BYTES = 1_000  # of a cell, about
_FILE = re.compile(rf"({KEY.pattern})\.parquet")


class Store:
    """Finished cells in ``folder``.

    Args:
        folder: where they are; made, with its parents, on the first write.
        compact_at: number of files at which :meth:`compact` gathers them into a segment.

    Attributes:
        damaged: the damaged files that this object has found, where they are now: in ``_unreadable/``, or in their own
            place where they cannot be moved.
    """

    def __init__(self, folder: Path, compact_at: int = MANY_FILES) -> None:
        self.folder = Path(folder)
        self.compact_at = compact_at
        self.damaged: list[Path] = []
        self._moves = True
        self._lock = compaction_lock(self.folder)
        self._summaries: dict[str, tuple[tuple[int, ...], CellSummary]] = {}
        self.segments = Segments(self.folder, self._set_aside)

    @property
    def set_aside(self) -> int:
        """Number of damaged files that this object has found."""
        return len(self.damaged)

    def check_writable(self) -> None:
        """Make the folder and write to it, so that no run starts whose results could not be kept.

        Raises:
            StoreError: the folder is a link, or cannot be made or written.
        """
        check_real(self.folder)
        with writing(self.folder, "; name a folder that can be written"):
            check_writable(self.folder)

    @contextlib.contextmanager
    def looking_only(self) -> Iterator[None]:
        """Leave damaged files where they are meanwhile; they count as missing, and are found again afterwards."""
        moves, damaged = self._moves, list(self.damaged)
        self._moves = False
        try:
            yield
        finally:
            self._moves, self.damaged = moves, damaged

    def path(self, key: str) -> Path:
        """The file for the cell of that key."""
        return self.folder / f"{key}.parquet"

    def write(self, key: str, rows: pa.Table, metadata: Mapping[str, Any]) -> None:
        """Keep a finished cell. When this returns, the cell is on the disk, its name included.

        Raises:
            StoreError: the disk is full or the folder cannot be written; no torn file is left behind.
            InputError: the rows do not follow the shared schema, or are too many.
        """
        self.write_file(key, cell_bytes(key, rows, metadata))

    def write_file(self, key: str, content: bytes) -> None:
        """Keep a finished cell whose file another store has written.

        Raises:
            StoreError: as for :meth:`write`.
        """
        check_real(self.folder)
        with writing(self.folder), atomic_write(self.path(key)) as file:
            file.write(content)

    def flush(self) -> None:
        """Have every cell that can be found here on the disk, even if the process that wrote it has been killed.

        Raises:
            StoreError: the disk refuses.
        """
        with writing(self.folder):
            sync_folder(self.folder)

    def keys(self) -> set[str]:
        """The keys of all cells in files and segments; the cells' files are not read.

        Raises:
            StoreError: the folder or a segment cannot be read.
        """
        return {*self.single_files(), *self.segments.cells()}

    def find(self, keys: Collection[str]) -> dict[str, CellSummary]:
        """The summaries of the finished cells among ``keys``, by key.

        Raises:
            StoreError: the folder cannot be read.
        """
        files = {}
        for key in self.single_files().intersection(keys):
            if (summary := self._summary(key)) is not None:
                files[key] = summary
        # Read after the files, so that cells compacted in the meantime are found here.
        compacted = self.segments.cells()
        return {key: files.get(key) or compacted[key] for key in keys if key in files or key in compacted}

    def find_one(self, key: str) -> CellSummary | None:
        """The summary of one cell, or ``None``, at a cost that does not grow with the number of cells.

        Raises:
            StoreError: the folder cannot be read.
        """
        check_real(self.folder)
        summary = self._summary(key)
        return self.segments.find(key) if summary is None else summary

    def read(self, key: str) -> StoredCell | None:
        """The finished cell of that key, or ``None``.

        Raises:
            StoreError: the folder cannot be read.
        """
        check_real(self.folder)
        stored = self.read_single(key)
        if stored is None:
            for path, index in self.segments.contents().items():
                if key in index.cells and (content := self.segments.read(path, [key])) is not None:
                    rows, metadata = content
                    return StoredCell(rows, metadata[key], index.cells[key])
        return stored

    def table(self, cells: Mapping[str, Cell]) -> pd.DataFrame:
        """The rows of every finished cell among ``cells`` (by key), in their order, the configuration joined to each.

        Columns: the schema's, then ``cell`` (the key), ``function``, and each configuration's fields.

        Raises:
            StoreError: the folder cannot be read, or a cell was found to be damaged only now and is set aside. So no
                verdict goes by fewer rows than the plan has found.
        """
        damaged_before = self.set_aside
        single = self.single_files()
        read = {key: self.read_single(key) for key in cells if key in single}
        tables = [stored.rows for stored in read.values() if stored is not None]
        missing = {key for key in cells if read.get(key) is None}
        for keys, rows in self.segments.rows(missing):
            tables.append(rows)
            missing -= keys
        if missing and self.set_aside > damaged_before:
            raise StoreError(
                f"{self.damaged[-1]} is damaged: run the same command again, which runs its cells again."
            )
        with reading(self.folder):
            return joined(tables, cells)

    def compact(self) -> None:
        """Gather the cells' files into segments when there are many; other processes may use the store meanwhile.

        Raises:
            StoreError: the disk refuses; nothing is lost.
        """
        if len(self.single_files()) < self.compact_at:
            return
        with writing(self.folder), self._lock:
            self._gather()

    def remove_leftovers(self) -> None:
        """Remove the temporary files of dead writers.

        Raises:
            StoreError: the disk refuses.
        """
        check_real(self.folder)
        with writing(self.folder):
            for path in leftovers(self.folder):
                path.unlink(missing_ok=True)

    def single_files(self) -> set[str]:
        """The keys of the cells that have files of their own.

        Raises:
            StoreError: the folder is a link, or cannot be listed.
        """
        check_real(self.folder)
        with reading(self.folder):
            return {match[1] for name in names_in(self.folder) if (match := _FILE.fullmatch(name))}

    def read_single(self, key: str) -> StoredCell | None:
        """The cell of that key in a file of its own; ``None`` when it has none, or a damaged one, which is set aside.

        Raises:
            StoreError: the file cannot be read.
        """
        path = self.path(key)
        with reading(path):
            try:
                return read_cell(path)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except DamagedError as error:
                self._set_aside(path, error)
                return None

    def _summary(self, key: str) -> CellSummary | None:
        """The summary of a cell that has a file of its own, which is read once unless it changes."""
        path = self.path(key)
        with reading(path):
            try:
                state = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                return None
        mark = (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        known, summary = self._summaries.get(key, (None, None))
        if known == mark:
            return summary
        if (stored := self.read_single(key)) is None:
            return None
        self._summaries[key] = mark, stored.summary
        return stored.summary

    def _gather(self) -> None:
        """Gather the cells' files into segments of a bounded size."""
        batch: dict[str, tuple[StoredCell, os.stat_result]] = {}
        size = 0
        for key in sorted(self.single_files()):
            try:
                with reading(self.path(key)):
                    state = os.lstat(self.path(key))
                stored = self.read_single(key)
            except StoreError:
                continue  # Another process has gathered it, or it cannot be read now: then it stays as it is.
            if stored is None:
                continue
            if batch and size + stored.rows.nbytes > _SEGMENT_BYTES:
                self._seal(batch)
                batch, size = {}, 0
            batch[key] = stored, state
            size += stored.rows.nbytes + _METADATA_BYTES
        if batch:
            self._seal(batch)

    def _seal(self, batch: Mapping[str, tuple[StoredCell, os.stat_result]]) -> None:
        """Write a segment, then remove the files that are in it, except those that have been rewritten since."""
        cells = {key: stored for key, (stored, _) in batch.items()}
        metadata = {key: stored.metadata for key, stored in cells.items()}
        try:
            self.segments.write([stored.rows for stored in cells.values()], metadata)
        except DamagedError:
            return  # The rows of a very large cell: they stay in their file.
        for key, (_, state) in batch.items():
            with contextlib.suppress(FileNotFoundError):
                now = os.lstat(self.path(key))
                if (now.st_ino, now.st_mtime_ns) == (state.st_ino, state.st_mtime_ns):
                    self.path(key).unlink()

    def _set_aside(self, path: Path, error: DamagedError) -> None:
        """Move a damaged file out of the way. If it cannot be moved, it stays and counts as missing all the same."""
        if not self._moves:
            self.damaged += [] if path in self.damaged else [path]
            return
        place = None
        with contextlib.suppress(OSError, MemoryError, DamagedError), self._lock:
            if not self._is_sound(path):
                place = set_aside(path)
        self.damaged.append(place or path)
        if place is None and os.path.lexists(path):
            warnings.warn(
                f"{path} counts as missing and cannot be moved away: {error}.", NormscopeWarning, stacklevel=2
            )

    def _is_sound(self, path: Path) -> bool:
        """Whether another process has written a cell's file again since it was found to be damaged."""
        try:
            return bool(_FILE.fullmatch(path.name)) and read_cell(path) is not None
        except DamagedError:
            return False
