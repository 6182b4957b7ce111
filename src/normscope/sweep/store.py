"""The store: a folder that holds one Parquet file for each finished cell, named by the cell's key.

A file is written under a temporary name, flushed to the disk and renamed into place, so that a file under its final
name is whole, whenever the run was killed. A file that cannot be read all the same is set aside and its cell is run
again. The cell's function, configuration, duration and the versions it ran with travel in the file's metadata.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from normscope.errors import InputError
from normscope.protocol import Cell, empty_table, resolve_function

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_METADATA = b"normscope"


class StoreError(InputError):
    """The store's folder cannot be written or read: one sentence with the system's reason."""


@dataclasses.dataclass(frozen=True)
class StoredCell:
    """A finished cell as it stands in the store."""

    rows: pa.Table
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
        import pyarrow.parquet as pq

        temporary = self.folder / f".{key}.{os.getpid()}.tmp"
        labelled = rows.replace_schema_metadata({_METADATA: json.dumps(metadata).encode()})
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                pq.write_table(labelled, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path(key))
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise StoreError(f"cannot write to {self.folder}: {error.strerror or error}.") from error

    def read(self, key: str) -> StoredCell | None:
        """The finished cell of that key, or ``None``.

        A file that is torn or not ours is renamed to ``*.unreadable`` and counts as missing.

        Raises:
            StoreError: when the folder cannot be read.
        """
        path = self.path(key)
        try:
            with path.open("rb") as file:
                stored = _parse(file)
            if stored is None:
                path.replace(path.with_suffix(".unreadable"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror or error}.") from error
        return stored

    def table(self, cells: Mapping[str, Cell]) -> pd.DataFrame:
        """The rows of every finished cell among ``cells`` (by key), the configuration joined to each row.

        Columns: the schema's, then ``cell`` (the key), ``function``, and each configuration's fields.
        """
        import pandas as pd

        frames = [
            _join(key, cell, stored.rows)
            for key, cell in cells.items()
            if (stored := self.read(key)) is not None
        ]
        frames = [frame for frame in frames if not frame.empty]
        return pd.concat(frames, ignore_index=True) if frames else empty_table()

    def remove_leftovers(self) -> None:
        """Remove the temporary files of writers that are no more."""
        for path in self._leftovers():
            path.unlink(missing_ok=True)

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
        rows = pq.ParquetFile(file).read()
        metadata = json.loads((rows.schema.metadata or {})[_METADATA])
        return StoredCell(rows, {**metadata, "seconds": float(metadata["seconds"])})
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError):
        return None


def _join(key: str, cell: Cell, rows: pa.Table) -> pd.DataFrame:
    config = {name: _scalar(value) for name, value in dataclasses.asdict(cell.config).items()}
    frame: pd.DataFrame = rows.to_pandas()
    return frame.assign(cell=key, function=cell.function, **config)


def _scalar(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, tuple) else value


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
