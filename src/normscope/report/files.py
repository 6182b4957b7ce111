"""Writing results: whole files or none, and one sentence when the disk refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from normscope.atomic import atomic_write
from normscope.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_METADATA = b"normscope"
DATA_NAME = "data.parquet"


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
        raise InputError(f"cannot write {path}: {error.strerror or error}.") from error
