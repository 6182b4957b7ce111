"""The folder of one experiment: its table, its figure, and the note of a run that has not ended."""

from __future__ import annotations

import dataclasses
import io
import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from normscope.disk.aside import ASIDE
from normscope.disk.reading import is_real_folder, names_in, refuse_link
from normscope.disk.sealing import parse_json, sealed_json, unsealed_json
from normscope.disk.tables import table_bytes
from normscope.disk.values import is_text_list
from normscope.errors import DamagedError
from normscope.results.files import is_there, read, reading, remove_file, write_file
from normscope.results.run_metadata import RunMetadata
from normscope.results.stored_run import ForeignError, StoredRun, read_run

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_MOST_TABLE_BYTES = 2**31
_MOST_NOTE_BYTES = 2**27
_MOST_FIGURE_BYTES = 2**26


@dataclasses.dataclass(frozen=True)
class DrawnFigure:
    """A figure as the bytes of an SVG file and of a PNG file; ``None`` for a file that is not there."""

    svg: bytes | None = None
    png: bytes | None = None

    @classmethod
    def of(cls, figure: Figure, salt: str) -> DrawnFigure:
        """A figure drawn; equal figures give equal bytes.

        Args:
            figure: the figure.
            salt: what the names within the SVG file are made from: the experiment's name.
        """
        import matplotlib as mpl

        svg, png = io.BytesIO(), io.BytesIO()
        with mpl.rc_context({"svg.hashsalt": salt}):
            figure.savefig(svg, format="svg", metadata={"Date": None})
        figure.savefig(png, format="png", dpi=150)
        return cls(svg.getvalue(), png.getvalue())


class ExperimentFolder:
    """The folder of one experiment in a results folder. It is used only if it is a folder itself, not a link.

    Args:
        path: the folder; it is created when something is written.

    Attributes:
        id: the experiment's name, which is the folder's name.
        table: the path of the table, ``data.parquet``.
        figure: the path of the figure as ``figure.svg``.
        bitmap: the path of the same figure as ``figure.png``.
        unfinished: the path of the note of a run that has not ended, ``unfinished.json``.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.id = path, path.name
        self.table = path / "data.parquet"
        self.figure = path / "figure.svg"
        self.bitmap = path / "figure.png"
        self.unfinished = path / "unfinished.json"

    def exists(self) -> bool:
        """Whether the folder holds a table, the note of a run that has not ended, or one that was set aside.

        Raises:
            CannotReadError: the system does not say.
        """
        return is_there(self.table) or is_there(self.unfinished) or bool(self.set_aside_files())

    def set_aside_files(self) -> list[Path]:
        """The damaged tables and notes of this experiment that were set aside.

        Raises:
            CannotReadError: the folder cannot be listed.
        """
        aside = self.path / ASIDE
        with reading(aside):
            names = names_in(aside) if is_real_folder(aside) else []
        ours = (self.table.name, self.unfinished.name)
        return [aside / name for name in names if name.startswith(ours)]

    def refuse_link(self) -> None:
        """Refuse a folder that is a link, since it may lead out of the results folder.

        Raises:
            InputError: it is one, or the system does not say.
        """
        with reading(self.path):
            refuse_link(self.path)

    def write_table(self, table: pd.DataFrame, metadata: RunMetadata) -> None:
        """Write the table as Parquet, with the metadata of its run and a checksum of the whole in the file.

        Raises:
            InputError: when the file cannot be written.
        """
        import pyarrow as pa

        content = table_bytes(pa.Table.from_pandas(table, preserve_index=False), metadata.to_json())
        self._write(self.table, content)

    def read(self) -> StoredRun | None:
        """The table and the metadata of its run, verified; ``None`` when there is no table.

        Raises:
            DamagedError: the file is not what was written, or something else than a file is there.
            ForeignError: another program wrote the file, or the folder is a link.
            CannotReadError: the system refuses now, or there is too little memory.
        """
        self._refuse_to_follow()
        try:
            with reading(self.table):
                return read_run(self.id, read(self.table, _MOST_TABLE_BYTES))
        except FileNotFoundError:
            return None

    def write_figure(self, figure: DrawnFigure) -> None:
        """Write the figure's files; remove one of an earlier run that this figure lacks.

        Raises:
            InputError: when a file cannot be written or removed.
        """
        for path, content in ((self.figure, figure.svg), (self.bitmap, figure.png)):
            if content is None:
                remove_file(path)
            else:
                self._write(path, content)

    def read_figure(self) -> DrawnFigure:
        """The figure as it is stored.

        Raises:
            DamagedError: something else than a file is in its place, or the file is too large.
            CannotReadError: the system refuses now.
        """
        self._refuse_to_follow()
        found: list[bytes | None] = []
        for path in (self.figure, self.bitmap):
            try:
                found.append(read(path, _MOST_FIGURE_BYTES))
            except FileNotFoundError:
                found.append(None)
        return DrawnFigure(*found)

    def write_unfinished(self, keys: Collection[str]) -> None:
        """Note the cells of a run before it starts, so that they count as referred to until its table is written.

        Args:
            keys: the keys of the cells.

        Raises:
            InputError: when the file cannot be written.
        """
        self._write(self.unfinished, sealed_json({"cells": list(keys)}))

    def remove_unfinished(self) -> None:
        """Remove the note of :meth:`write_unfinished`, since the table now names the cells; damaged ones, too.

        Raises:
            InputError: when a file cannot be removed.
        """
        remove_file(self.unfinished)
        for path in self.set_aside_files():
            if path.name.startswith(self.unfinished.name):
                remove_file(path)

    def unfinished_cells(self) -> set[str]:
        """The keys of the cells that a run waits for which has not ended.

        Raises:
            DamagedError: the note is not what was written, or something else than a file is there.
            CannotReadError: the system refuses now.
        """
        try:
            content = read(self.unfinished, _MOST_NOTE_BYTES)
        except FileNotFoundError:
            return set()
        keys = parse_json(content)
        if not isinstance(keys, list):  # a list was written before there were checksums
            keys = unsealed_json(content).get("cells")
        if not is_text_list(keys):
            raise DamagedError("it names no cells")
        return set(keys)

    def _refuse_to_follow(self) -> None:
        try:
            with reading(self.path):
                is_link = stat.S_ISLNK(os.lstat(self.path).st_mode)
        except FileNotFoundError:
            return
        if is_link:
            raise ForeignError("it is a link, which is not followed: put the folder itself there")

    def _write(self, path: Path, content: bytes) -> None:
        self.refuse_link()
        write_file(path, lambda file: file.write(content))
