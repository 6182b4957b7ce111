"""The columns that the tables of all experiments share.

``measure`` names what was measured; ``step``, ``epoch``, ``layer``, ``channel`` and ``index`` say where, and are null
where they do not apply; ``value`` is float64, and non-finite values stay as they are. A store joins the cell's
configuration to every row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from normscope.protocol.claims import NotJudgedError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

COLUMNS = ("measure", "step", "epoch", "layer", "channel", "index", "value")


def schema() -> pa.Schema:
    """The Arrow schema of a cell's rows."""
    import pyarrow as pa

    types = {"measure": pa.string(), "layer": pa.string(), "value": pa.float64()}
    return pa.schema([(name, types.get(name, pa.int64())) for name in COLUMNS])


class Rows:
    """Collects the rows of a cell.

    Example:
        >>> rows = Rows()
        >>> rows.add("validation_error", 0.02, epoch=1)
        >>> rows.table().num_rows
        1
    """

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}

    def add(
        self,
        measure: str,
        value: float,
        *,
        step: int | None = None,
        epoch: int | None = None,
        layer: str | None = None,
        channel: int | None = None,
        index: int | None = None,
    ) -> None:
        """Add one row."""
        row = (measure, step, epoch, layer, channel, index, float(value))
        for column, item in zip(self._columns.values(), row, strict=True):
            column.append(item)

    def add_each(self, measure: str, values: Iterable[float], by: str = "index", **place: Any) -> None:
        """Add one row a value, numbered from 0 in the column ``by``: ``"index"`` or ``"channel"``."""
        for number, value in enumerate(values):
            self.add(measure, value, **{**place, by: number})

    def table(self) -> pa.Table:
        """The rows so far, as a table of the shared schema; it may be empty."""
        import pyarrow as pa

        return pa.table(self._columns, schema=schema())


def empty_table() -> pd.DataFrame:
    """A table without rows, as an experiment gets it before its first cells have run."""
    frame: pd.DataFrame = schema().empty_table().to_pandas()
    return frame


def select(table: pd.DataFrame, **conditions: Any) -> pd.DataFrame:
    """The rows whose columns equal the given values.

    Raises:
        NotJudgedError: when there are none; the message says what is missing. A claim that needs them is not judged.
    """
    found = table
    for column, wanted in conditions.items():
        found = found[found[column] == wanted] if column in found else found.iloc[:0]
    if found.empty:
        missing = ", ".join(f"{column} = {wanted}" for column, wanted in conditions.items())
        raise NotJudgedError(f"no rows with {missing}")
    return found
