"""Cells that compute nothing, importable by worker processes, to measure the engine's own cost."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from normscope.protocol import Cell, Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class Nothing:
    """A number that makes the cell different from others, and its number of rows."""

    number: int
    rows: int = 6


@cell(name="benchmarks.empty", version=1)
def nothing(config: Nothing) -> pa.Table:
    rows = Rows()
    for index in range(config.rows):
        rows.add("nothing", 0.5 * index, index=index)
    return rows.table()


def empty_cells(count: int) -> dict[str, Cell]:
    """``count`` different cells, by key."""
    cells = (nothing.cell(Nothing(number)) for number in range(count))
    return {found.key(str): found for found in cells}
