"""A stored run: the verified table of an experiment's folder, and the experiment that it is the table of."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from normscope.disk.tables import METADATA, read_table, value_type
from normscope.errors import DamagedError, InputError, said
from normscope.papers import catalogue
from normscope.papers.other_data import base_of, moved
from normscope.protocol import Experiment, NotJudgedError, Result
from normscope.protocol.table import schema
from normscope.results.run_metadata import RunMetadata
from normscope.sweep import Sweep, SweepExperiment

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class ForeignError(InputError):
    """What a folder holds is whole, but not the results of an experiment that this version can show there.

    The message is a clause without a subject, such as ``"another program wrote its table"``.
    """


@dataclasses.dataclass(frozen=True)
class StoredRun:
    """What an experiment's folder holds of its last run, verified.

    Attributes:
        id: the experiment's name, which is the folder's name.
        rows: the table.
        metadata: what is stored with it.
    """

    id: str
    rows: pa.Table
    metadata: RunMetadata

    def table(self) -> pd.DataFrame:
        """The table as its experiment takes it."""
        frame: pd.DataFrame = self.rows.to_pandas()
        return frame

    def cells(self) -> set[str]:
        """The keys of the table's cells."""
        return set(self.rows["cell"].unique().to_pylist()) if "cell" in self.rows.column_names else set()

    def experiment(self) -> Experiment:
        """The experiment whose table this is. No module that the table names is imported.

        Raises:
            ForeignError: this version has no such experiment, or the table is another experiment's.
            DamagedError: the sweep in the metadata is not what was written.
        """
        base = base_of(self.id)
        entry = next((entry for entry in catalogue.ENTRIES if entry.id == base), None)
        try:
            if entry is None:
                return self._sweep()
            experiment = entry.load() if self.id == base else moved(entry.load(), self.metadata.data)
            names = (experiment.id, self.metadata.experiment or experiment.id)
        except DamagedError:
            raise
        except InputError as error:
            raise ForeignError(str(error).rstrip(".")) from None
        for name in names:
            if name != self.id:
                raise ForeignError(f"its table is that of {name}")
        return experiment

    def judged(self) -> Result:
        """The result, its claims judged on the table.

        Raises:
            ForeignError, DamagedError: as :meth:`experiment`; or the table has not the columns of the experiment.
        """
        experiment, table, about = self.experiment(), self.table(), self.metadata
        with judging():
            claims = tuple(experiment.claims(table))
        return Result(
            id=self.id,
            scale=about.scale,
            table=table,
            claims=claims,
            failures=about.failures,
            settings=about.settings,
            experiment=experiment,
            notes=tuple(about.notes),
            data=about.data,
            data_note=about.data_note,
        )

    def _sweep(self) -> SweepExperiment:
        if self.metadata.sweep is None:
            raise ForeignError("no experiment of this version has its name")
        return SweepExperiment(self.id, Sweep.from_json(self.metadata.sweep))


def read_run(id: str, content: bytes) -> StoredRun:
    """The run whose table a file holds.

    Args:
        id: the experiment's name.
        content: the file's.

    Raises:
        DamagedError: the content is not what was written.
        ForeignError: another program wrote it.
        MemoryError: there is too little memory now.
    """
    try:
        rows, about = read_table(content)
    except DamagedError:
        if _is_another_programs(content):
            raise ForeignError("another program wrote its table") from None
        raise
    metadata = RunMetadata.from_json(about)
    _check_columns(rows)
    return StoredRun(id, rows.replace_schema_metadata(None), metadata)


@contextlib.contextmanager
def judging() -> Iterator[None]:
    """Judge or draw a table from anybody, which may lack what its experiment looks for.

    Raises:
        ForeignError: the experiment raised an error; the message says which.
    """
    try:
        yield
    except (NotJudgedError, MemoryError):
        raise
    except Exception as error:
        raise ForeignError(f"its table cannot be judged or drawn ({said(error)})") from error


@contextlib.contextmanager
def judging_cells(id: str) -> Iterator[None]:
    """Judge or draw the rows of an experiment's cells, of which anybody may have written some.

    Raises:
        InputError: the experiment raised an error; the message says which, and what helps.
    """
    try:
        with judging():
            yield
    except ForeignError as error:
        raise InputError(
            f"{id}: {error}: run it with --fresh, which runs its cells again."
        ) from error.__cause__


def _is_another_programs(content: bytes) -> bool:
    """Whether it is a sound Parquet file of which nothing says that normscope wrote it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if METADATA in content:
        return False
    try:
        pq.read_schema(pa.BufferReader(content))
    except (pa.ArrowException, OSError):
        return False
    return True


def _check_columns(rows: pa.Table) -> None:
    """Refuse a table whose columns are not the shared ones, with their types, and the configuration's."""
    import pyarrow as pa

    kinds = {field.name: value_type(field.type) for field in rows.schema}
    wanted = [(field.name, field.type) for field in schema()]
    if len(rows):
        wanted += [("cell", pa.string()), ("function", pa.string())]
    missing = [name for name, _ in wanted if name not in kinds]
    if missing or len(kinds) < rows.num_columns:
        raise DamagedError(
            f"its columns are not those of a table ({', '.join(missing) or 'one is there twice'})"
        )
    for name, kind in wanted:
        if not _fits(kinds[name], kind):
            raise DamagedError(f"its column {name!r} is of another kind than it was written")
    if len(rows) and any(rows[name].null_count for name in ("cell", "function")):
        raise DamagedError("some of its rows name no cell")


def _fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether a column is of a type that pandas may have made of the wanted one; a column may be empty."""
    import pyarrow.types as kinds

    if kinds.is_null(found):
        return True
    if kinds.is_string(wanted):
        return bool(kinds.is_string(found) or kinds.is_large_string(found))
    return bool(kinds.is_floating(found) or (kinds.is_integer(wanted) and kinds.is_integer(found)))
