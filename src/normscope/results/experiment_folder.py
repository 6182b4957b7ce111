"""The folder of one experiment: its table, its figure, and the note of a run that has not ended."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscope.errors import InputError
from normscope.papers.catalogue import Entry
from normscope.papers.other_data import moved
from normscope.protocol import Experiment, Scale
from normscope.results.files import write_file, write_text
from normscope.sweep import Sweep, SweepExperiment

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_METADATA = b"normscope"


@dataclasses.dataclass(frozen=True)
class RunMetadata:
    """What is stored with a table about the run that filled it.

    Attributes:
        scale: the scale of the run.
        settings: the experiment's settings at that scale, in words.
        failures: the cells that failed, each with its error.
        notes: sentences that a reader of the table should know.
        sweep: a user's sweep as :meth:`normscope.sweep.Sweep.to_json` gives it; ``None`` for a paper's experiment.
        data: the data sets that the cells read, with commas between; empty in older tables.
        data_note: as in :class:`normscope.protocol.Result`.
    """

    scale: Scale
    settings: Mapping[str, str]
    failures: Mapping[str, str]
    notes: Sequence[str] = ()
    sweep: Mapping[str, Any] | None = None
    data: str = ""
    data_note: str = ""

    def to_json(self) -> dict[str, Any]:
        """The metadata as JSON values; a paper's experiment has no entry ``sweep``."""
        fields = dataclasses.asdict(self)
        if self.sweep is None:
            del fields["sweep"]
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> RunMetadata:
        """The metadata that :meth:`to_json` gave; entries that this version does not know are ignored.

        Raises:
            KeyError, TypeError, ValueError: when ``fields`` are not such metadata.
        """
        return cls(
            Scale(fields["scale"]),
            dict(fields["settings"]),
            dict(fields["failures"]),
            tuple(fields.get("notes", ())),
            fields.get("sweep"),
            str(fields.get("data", "")),
            str(fields.get("data_note", "")),
        )


class ExperimentFolder:
    """The folder of one experiment in a results folder.

    Args:
        path: the folder; it is created when something is written.

    Attributes:
        id: the experiment's name, which is the folder's name.
        table: the path of the table, ``data.parquet``.
        figure: the path of the figure as ``figure.svg``.
        bitmap: the path of the same figure as ``figure.png``.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.id = path, path.name
        self.table = path / "data.parquet"
        self.figure = path / "figure.svg"
        self.bitmap = path / "figure.png"
        self._unfinished = path / "unfinished.json"

    def exists(self) -> bool:
        """Whether the folder holds a table, or the note of a run that has not ended."""
        return self.table.exists() or self._unfinished.exists()

    def write_table(self, table: pd.DataFrame, metadata: RunMetadata) -> None:
        """Write the table as Parquet, with the metadata of its run in the file.

        Raises:
            InputError: when the file cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        arrow = pa.Table.from_pandas(table, preserve_index=False)
        ours = {_METADATA: json.dumps(metadata.to_json()).encode()}
        arrow = arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), **ours})
        write_file(self.table, lambda file: pq.write_table(arrow, file))

    def read_table(self) -> tuple[pd.DataFrame, RunMetadata]:
        """The table and the metadata of its run.

        Raises:
            InputError: when the file cannot be read or was not written by :meth:`write_table`.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        metadata = self.read_metadata()
        try:
            return pq.ParquetFile(self.table).read().to_pandas(), metadata
        except (pa.ArrowException, OSError) as error:
            raise self._not_a_table() from error

    def read_metadata(self) -> RunMetadata:
        """The metadata of the table's run; the rows are not read.

        Raises:
            InputError: when the file cannot be read or was not written by :meth:`write_table`.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return RunMetadata.from_json(json.loads(pq.read_schema(self.table).metadata[_METADATA]))
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            raise self._not_a_table() from error

    def read_paper(self, entry: Entry) -> Experiment:
        """The paper's experiment whose table this is, on the data set that the table names.

        Raises:
            InputError: when the table of a run on other data cannot be read.
        """
        experiment = entry.load()
        return experiment if self.id == entry.id else moved(experiment, self.read_metadata().data)

    def read_sweep(self) -> SweepExperiment | None:
        """The user's sweep whose table this is; ``None`` when there is no such table or it cannot be read.

        The modules of networks and norms that the sweep names are not imported.

        Raises:
            InputError: when another version of normscope wrote the table.
        """
        try:
            words = self.read_metadata().sweep
        except InputError:
            return None
        try:
            return None if words is None else SweepExperiment(self.id, Sweep.from_json(words))
        except (TypeError, AttributeError) as error:
            raise InputError(
                f"{self.table} was written by another version of normscope: run its sweep again."
            ) from error

    def write_figure(self, figure: Figure) -> None:
        """Write the figure as SVG and as PNG; equal figures give equal bytes.

        Raises:
            InputError: when a file cannot be written.
        """
        import matplotlib as mpl

        with mpl.rc_context({"svg.hashsalt": self.id}):
            write_file(self.figure, lambda file: figure.savefig(file, format="svg", metadata={"Date": None}))
        write_file(self.bitmap, lambda file: figure.savefig(file, format="png", dpi=150))

    def remove_figure(self) -> None:
        """Remove the figure of an earlier run, when this run has too few rows to draw one."""
        for path in (self.figure, self.bitmap):
            path.unlink(missing_ok=True)

    def write_unfinished(self, keys: Collection[str]) -> None:
        """Note the cells of a run before it starts, so that they count as referred to until its table is written.

        Args:
            keys: the keys of the cells.

        Raises:
            InputError: when the file cannot be written.
        """
        write_text(self._unfinished, json.dumps(list(keys)))

    def remove_unfinished(self) -> None:
        """Remove the note of :meth:`write_unfinished`, since the table now names the cells."""
        self._unfinished.unlink(missing_ok=True)

    def referred_cells(self) -> set[str]:
        """The keys of the cells that this folder refers to: those of its table and those of a run that has not ended.

        Raises:
            InputError: when one of the two files is damaged.
        """
        return self._unfinished_cells() | self._cells_of_table()

    def _unfinished_cells(self) -> set[str]:
        if not self._unfinished.exists():
            return set()
        try:
            return set(json.loads(self._unfinished.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{self._unfinished} is damaged; run its experiment again.") from error

    def _cells_of_table(self) -> set[str]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self.table.exists():
            return set()
        self.read_metadata()
        try:
            rows = pq.ParquetFile(self.table).read(columns=["cell"])
        except (pa.ArrowException, OSError) as error:
            raise self._not_a_table() from error
        return set(rows["cell"].unique().to_pylist()) if "cell" in rows.column_names else set()

    def _not_a_table(self) -> InputError:
        return InputError(f"{self.table} is not a table of normscope's; run its experiment again.")
