"""Writing results: whole files or none, and one sentence when the disk refuses."""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from filelock import FileLock

from normscope.atomic import atomic_write, check_writable, leftovers
from normscope.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_METADATA = b"normscope"
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
DATA_NAME = "data.parquet"
UNFINISHED_NAME = "unfinished.json"


def is_read_only(folder: Path) -> bool:
    """Whether the system lets nobody write to a folder; any other trouble shows when something is written."""
    try:
        check_writable(folder)
    except OSError as error:
        return error.errno in _READ_ONLY
    return False


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Holds a results folder, so that what two processes write there never comes half from each.

    What killed writers have left behind is removed.

    Raises:
        InputError: when the folder cannot be written.
    """
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as error:
        raise _cannot_write(folder, error) from error
    with contextlib.ExitStack() as stack:
        stack.callback(lock.release)
        for place in (folder, *filter(Path.is_dir, folder.iterdir())):
            for path in leftovers(place):
                path.unlink(missing_ok=True)
        yield


def write_unfinished(folder: Path, keys: Collection[str]) -> None:
    """Note the cells of an experiment's run that has not ended, so that they count as referred to."""
    write_text(folder / UNFINISHED_NAME, json.dumps(list(keys)))


def remove_unfinished(folder: Path) -> None:
    """Take :func:`write_unfinished`'s note back once the experiment's table refers to the cells."""
    (folder / UNFINISHED_NAME).unlink(missing_ok=True)


def referred_cells(folder: Path) -> set[str]:
    """The keys of the cells that an experiment's folder refers to: its table's and those of a run that has not ended.

    Raises:
        InputError: when one of the two files is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    keys: set[str] = set()
    unfinished, table = folder / UNFINISHED_NAME, folder / DATA_NAME
    try:
        if unfinished.exists():
            keys.update(json.loads(unfinished.read_text()))
        if table.exists():
            read_about(table)
            keys.update(pq.ParquetFile(table).read(columns=["cell"])["cell"].unique().to_pylist())
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise _not_a_table(folder) from error
    return keys


def write_text(path: Path, text: str) -> None:
    """Write a text file in one piece; where ``path`` is a link, what it leads to; a pipe or device as it is."""
    target = path.resolve()
    if target.is_fifo() or target.is_char_device():
        target.write_text(text, encoding="utf-8")
    else:
        _write(target, lambda file: file.write(text.encode()))


def write_table(path: Path, table: pd.DataFrame, about: Mapping[str, Any]) -> None:
    """Write an experiment's table as Parquet, with what the report needs to know about it in the metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = pa.Table.from_pandas(table, preserve_index=False)
    metadata = {**(arrow.schema.metadata or {}), _METADATA: json.dumps(about).encode()}
    _write(path, lambda file: pq.write_table(arrow.replace_schema_metadata(metadata), file))


def read_table(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table and what :func:`write_table` was told about it.

    Raises:
        InputError: when the file is not such a table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    about = read_about(path)
    try:
        return pq.ParquetFile(path).read().to_pandas(), about
    except (pa.ArrowException, OSError) as error:
        raise _not_a_table(path) from error


def read_about(path: Path) -> dict[str, Any]:
    """What :func:`write_table` was told about a table, without reading its rows.

    Raises:
        InputError: when the file is not such a table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        about: dict[str, Any] = json.loads(pq.read_schema(path).metadata[_METADATA])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise _not_a_table(path) from error
    return about


def write_figure(folder: Path, figure: Figure) -> None:
    """Write ``figure.svg`` and ``figure.png``; the same figure gives the same bytes."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": folder.name}):
        _write(
            folder / "figure.svg", lambda file: figure.savefig(file, format="svg", metadata={"Date": None})
        )
    _write(folder / "figure.png", lambda file: figure.savefig(file, format="png", dpi=150))


def remove_figure(folder: Path) -> None:
    """Remove the figures of an earlier run, where this one has none to put in their place."""
    for suffix in ("svg", "png"):
        (folder / f"figure.{suffix}").unlink(missing_ok=True)


def _not_a_table(path: Path) -> InputError:
    return InputError(f"{path} is not a table of normscope's; run its experiment again.")


def _write(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    try:
        with atomic_write(path) as file:
            fill(file)
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot write {path}: {error.strerror or error}.")
