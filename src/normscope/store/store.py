"""The store: a folder that holds one Parquet file for each finished cell, named by the cell's key.

A file is written under a temporary name, flushed to the disk and renamed into place, so that a file under its final
name is whole, whenever the run was killed. A file that cannot be read all the same, or that is another cell's, is set
aside in ``_unreadable/`` and its cell is run again. The cell's function, configuration, duration and the versions it
ran with travel in the file's metadata. When there are many files they are compacted into
:mod:`segments <normscope.runner.segments>`; a file wins over a segment, and a newer segment over an older one.
``pandas.read_parquet`` reads the folder: every row bears its cell's key. Files that are not named like the store's are
never touched.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from filelock import FileLock

from normscope.atomic import check_writable, leftovers
from normscope.errors import InputError
from normscope.protocol import Cell, empty_table
from normscope.store.cellfile import StoredCell, read_cell, write_cell
from normscope.store.segments import About, Segments, read_segment

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MANY_FILES = 256
"""At how many files a store gathers them into a segment."""

ASIDE = "_unreadable"
"""The folder, within the store's, for what could not be read."""

_SEGMENT_BYTES = 2**26
_KEY = re.compile(r"[0-9a-f]{32}")


class StoreError(InputError):
    """The store's folder cannot be written or read: one sentence with the system's reason."""


class Store:
    """Finished cells in ``folder``.

    Args:
        folder: made, with its parents, on the first write.
        compact_at: at how many files :meth:`compact` gathers them into a segment.

    Attributes:
        set_aside: how many damaged files this object came across.
    """

    def __init__(self, folder: Path, compact_at: int = MANY_FILES) -> None:
        self.folder = Path(folder)
        self.compact_at = compact_at
        self.set_aside = 0
        self.lock = FileLock(self.folder / ".lock")
        self.segments = Segments(self.folder, self._set_aside)

    def check_writable(self) -> None:
        """Make the folder and write to it, so that a run that could not keep its results never starts.

        Raises:
            StoreError: when the folder cannot be made or written.
        """
        try:
            check_writable(self.folder)
        except OSError as error:
            raise StoreError(
                f"cannot write to {self.folder}: {error.strerror or error}; name a folder that can be written."
            ) from error

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Holds off whoever wants the folder for himself; a folder that cannot be written needs no such care."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                fcntl.flock(stack.enter_context(self._usage_file()), fcntl.LOCK_SH)
            yield

    @contextlib.contextmanager
    def for_oneself(self) -> Iterator[None]:
        """The folder while nobody else uses it.

        Raises:
            StoreError: at once, when somebody does, or when the folder cannot be written.
        """
        with contextlib.ExitStack() as stack:
            try:
                fcntl.flock(stack.enter_context(self._usage_file()), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(f"a run is using {self.folder}: wait until it has ended.") from None
            except OSError as error:
                raise self._refusal(error) from error
            yield

    def path(self, key: str) -> Path:
        """Where the cell of that key stands."""
        return self.folder / f"{key}.parquet"

    def write(self, key: str, rows: pa.Table, metadata: Mapping[str, Any]) -> None:
        """Keep a finished cell.

        Raises:
            StoreError: when the disk is full or the folder cannot be written; no torn file is left behind.
        """
        try:
            write_cell(self.path(key), rows, metadata)
        except OSError as error:
            raise self._refusal(error) from error

    def keys(self) -> set[str]:
        """The keys under which there are files or rows in segments; the files are not read."""
        return {*self.single_files(), *self.segments.cells()}

    def find(self, keys: Collection[str]) -> dict[str, About]:
        """What a plan needs to know of those cells that are finished, by key.

        Raises:
            StoreError: when the folder cannot be read.
        """
        single, files = self.single_files(), {}
        for key in keys:
            if key in single and (stored := self._read_file(key)) is not None:
                files[key] = About.of(stored.metadata)
        # Read after the files: whatever was compacted meanwhile is in these.
        compacted = self.segments.cells()
        return {key: files.get(key) or compacted[key] for key in keys if key in files or key in compacted}

    def find_one(self, key: str) -> About | None:
        """The same for one cell, without a look at what else there is.

        Raises:
            StoreError: when the folder cannot be read.
        """
        stored = self._read_file(key)
        return About.of(stored.metadata) if stored is not None else self.segments.find(key)

    def read(self, key: str) -> StoredCell | None:
        """The finished cell of that key, or ``None``.

        Raises:
            StoreError: when the folder cannot be read.
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
            StoreError: when the folder cannot be read.
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
        """Gather the single files into a segment when there are many; other processes may go on meanwhile.

        Raises:
            StoreError: when the disk refuses; nothing is lost.
        """
        if len(self.single_files()) < self.compact_at:
            return
        try:
            with self.lock:
                self._gather()
        except OSError as error:
            raise self._refusal(error) from error

    def remove_leftovers(self) -> None:
        """Remove the temporary files of writers that are no more."""
        for path in leftovers(self.folder):
            path.unlink(missing_ok=True)

    def single_files(self) -> set[str]:
        """The keys of the cells that stand in files of their own."""
        return {path.stem for path in self.folder.glob("*.parquet") if _KEY.fullmatch(path.stem)}

    def _gather(self) -> None:
        """Turn the single files into segments of a bounded size, one after another."""
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
        """Write a segment, then remove the files that are in it, except where a cell was run anew meanwhile."""
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
        """Move a damaged file out of the way; one that cannot be moved is left and counts as missing all the same."""
        self.set_aside += 1
        with contextlib.suppress(OSError), self.lock:
            aside = self.folder / ASIDE
            aside.mkdir(exist_ok=True)
            if not _KEY.fullmatch(path.stem) or read_cell(path) is None:
                path.replace(aside / path.name)

    def _usage_file(self) -> IO[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return (self.folder / ".in-use").open("a")

    def _refusal(self, error: OSError) -> StoreError:
        return StoreError(f"cannot write to {self.folder}: {error.strerror or error}.")


def _columns(cell: Cell) -> dict[str, Any]:
    """What a cell adds to each of its rows: its function and its full configuration, tuples as JSON."""
    config = dataclasses.asdict(cell.config)
    texts = {name: json.dumps(value) if isinstance(value, tuple) else value for name, value in config.items()}
    return {"function": cell.name, **texts}
