"""The store: a folder that holds one Parquet file for each finished cell, named by the cell's key.

A file is written under a temporary name, flushed to the disk and renamed into place, so that a file under its final
name is whole, whenever the run was killed. A file that cannot be read all the same is set aside and its cell is run
again. The cell's function, configuration, duration and the versions it ran with travel in the file's metadata. When
there are many files they are compacted into :mod:`segments <normscope.sweep.segments>`; a file wins over a segment, and
a newer segment over an older one. ``pandas.read_parquet`` reads
the folder: every row bears its cell's key.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from filelock import FileLock

from normscope.atomic import atomic_write
from normscope.errors import InputError
from normscope.protocol import Cell, empty_table, resolve_function
from normscope.sweep.segments import METADATA, Segments, is_segment

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_MANY_FILES = 256


class StoreError(InputError):
    """The store's folder cannot be written or read: one sentence with the system's reason."""


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


class Store:
    """Finished cells in ``folder``.

    Args:
        folder: made, with its parents, on the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._segments = Segments(self.folder)

    def check_writable(self) -> None:
        """Make the folder and write to it, so that a run that could not keep its results never starts.

        Raises:
            StoreError: when the folder cannot be made or written.
        """
        probe = self.folder / f".writable.{os.getpid()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise StoreError(
                f"cannot write to {self.folder}: {error.strerror or error}; name a folder that can be written."
            ) from error

    def path(self, key: str) -> Path:
        """Where the cell of that key stands."""
        return self.folder / f"{key}.parquet"

    def write(self, key: str, rows: pa.Table, metadata: Mapping[str, Any]) -> None:
        """Keep a finished cell.

        Raises:
            StoreError: when the disk is full or the folder cannot be written; no torn file is left behind.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        labelled = rows.append_column("cell", pa.repeat(pa.scalar(key), len(rows)))
        labelled = labelled.replace_schema_metadata({METADATA: json.dumps(metadata).encode()})
        try:
            with atomic_write(self.path(key)) as file:
                pq.write_table(labelled, file)
        except OSError as error:
            raise StoreError(f"cannot write to {self.folder}: {error.strerror or error}.") from error

    def find(self, keys: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """The metadata of those cells that are finished, by key.

        Raises:
            StoreError: when the folder cannot be read.
        """
        single, compacted = set(self._single_files()), self._segments.metadata()
        found: dict[str, Mapping[str, Any]] = {}
        for key in keys:
            if key in compacted and key not in single:
                found[key] = compacted[key]
            elif (stored := self.read(key)) is not None:
                found[key] = stored.metadata
        return found

    def read(self, key: str) -> StoredCell | None:
        """The finished cell of that key, or ``None``.

        A file that is torn or not ours is set aside in ``_unreadable/`` and counts as missing.

        Raises:
            StoreError: when the folder cannot be read.
        """
        stored = self._read_file(key)
        if stored is None and (metadata := self._segments.metadata().get(key)) is not None:
            (rows,) = self._segments.rows([key])
            stored = StoredCell(rows, metadata)
        return stored

    def table(self, cells: Mapping[str, Cell]) -> pd.DataFrame:
        """The rows of every finished cell among ``cells`` (by key), in their order, the configuration joined to each.

        Columns: the schema's, then ``cell`` (the key), ``function``, and each configuration's fields.
        """
        import pandas as pd
        import pyarrow as pa

        compacted = self._segments.metadata().keys() - self._single_files()
        tables = self._segments.rows(cells.keys() & compacted)
        tables += [
            stored.rows for key in cells if key not in compacted and (stored := self.read(key)) is not None
        ]
        tables = [table.replace_schema_metadata(None) for table in tables if len(table)]
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
        if len(self._single_files()) < _MANY_FILES:
            return
        with FileLock(self.folder / ".lock"):
            keys = self._single_files()
            stored = {key: self._read_file(key) for key in keys}
            finished = {key: cell for key, cell in stored.items() if cell is not None}
            try:
                if finished:
                    metadata = {key: cell.metadata for key, cell in finished.items()}
                    self._segments.write([cell.rows for cell in finished.values()], metadata)
                for key in keys:
                    self.path(key).unlink(missing_ok=True)
            except OSError as error:
                raise StoreError(f"cannot write to {self.folder}: {error.strerror or error}.") from error

    def _single_files(self) -> list[str]:
        return [path.stem for path in self.folder.glob("*.parquet") if not is_segment(path)]

    def remove_leftovers(self) -> None:
        """Remove the temporary files of writers that are no more."""
        for path in self._leftovers():
            path.unlink(missing_ok=True)

    def _read_file(self, key: str) -> StoredCell | None:
        path = self.path(key)
        try:
            with path.open("rb") as file:
                stored = _parse(file)
            if stored is None:
                aside = self.folder / "_unreadable"
                aside.mkdir(exist_ok=True)
                path.replace(aside / path.name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror or error}.") from error
        return stored

    def _leftovers(self) -> Iterator[Path]:
        for path in self.folder.glob(".*.tmp"):
            writer = path.name.split(".")[-2]
            if not (writer.isdigit() and _is_running(int(writer))):
                yield path


def run_and_store(function: str, config: Any, key: str, store: Store, provenance: Mapping[str, Any]) -> float:
    """Run one cell here and now and keep its rows; gives the seconds it took."""
    started = time.perf_counter()
    rows = resolve_function(function)(config)
    seconds = time.perf_counter() - started
    store.write(key, rows, {**provenance, "key": key, "function": function, "seconds": seconds})
    return seconds


def _parse(file: IO[bytes]) -> StoredCell | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file)
        metadata = json.loads((parquet.schema_arrow.metadata or {})[METADATA])
        rows = parquet.read(use_threads=False)
        return (
            StoredCell(rows, {**metadata, "seconds": float(metadata["seconds"])})
            if "cell" in rows.column_names
            else None
        )
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError):
        return None


def _columns(cell: Cell) -> dict[str, Any]:
    """What a cell adds to each of its rows: its function and its full configuration, tuples as JSON."""
    config = dataclasses.asdict(cell.config)
    texts = {name: json.dumps(value) if isinstance(value, tuple) else value for name, value in config.items()}
    return {"function": cell.function, **texts}


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
