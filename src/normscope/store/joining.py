"""Joins the rows of many cells, each with its cell's configuration, into one table."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from normscope.protocol import Cell, empty_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def joined(tables: Sequence[pa.Table], cells: Mapping[str, Cell]) -> pd.DataFrame:
    """The rows of the tables in the order of ``cells`` (by key), then ``function`` and each configuration's fields.

    Args:
        tables: the schema's columns, then ``cell``, the key.
        cells: the cells of the rows, and perhaps others.
    """
    import pandas as pd
    import pyarrow as pa

    filled = [table for table in tables if len(table)]
    if not filled:
        return empty_table()
    rows = pa.concat_tables(filled).to_pandas()
    places = {key: place for place, key in enumerate(cells)}
    in_order = rows.iloc[rows["cell"].map(places).argsort(kind="stable")]
    present = set(rows["cell"])
    configs = pd.DataFrame([{"cell": key, **_columns(cell)} for key, cell in cells.items() if key in present])
    joined: pd.DataFrame = in_order.merge(configs, on="cell", how="left")
    return joined


def _columns(cell: Cell) -> dict[str, Any]:
    """The columns that a cell adds to its rows: its function and full configuration, tuples as JSON."""
    config = dataclasses.asdict(cell.config)
    texts = {name: json.dumps(value) if isinstance(value, tuple) else value for name, value in config.items()}
    return {"function": cell.name, **texts}
