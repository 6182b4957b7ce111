"""A data frame that shows all of its columns when it is printed."""

from __future__ import annotations

import shutil
import textwrap

import pandas as pd

_NAMED = 3
"""How many layers are named before a note that they share."""


class Table(pd.DataFrame):
    """An instrument's table: a data frame that prints every column, its numbers to three digits and its notes below.

    In everything else it is a :class:`pandas.DataFrame`. Rows are left out in the middle as for any data frame
    (``pandas.options.display.max_rows``).
    """

    @property
    def _constructor(self) -> type[Table]:
        return Table

    def __repr__(self) -> str:
        """The columns as text, in blocks of the width of the terminal, and the notes."""
        width = shutil.get_terminal_size().columns
        shown = pd.DataFrame(self)
        notes = ""
        if "note" in shown and "layer" in shown:
            notes = _notes(shown, width)
            shown = shown.drop(columns="note")
        if "layer" in shown and shown.index.equals(pd.RangeIndex(len(shown))):
            shown = shown.set_index("layer").rename_axis(None).rename_axis("layer", axis=1)
        text = shown.to_string(
            float_format="{:.3g}".format,
            line_width=width,
            max_rows=pd.get_option("display.max_rows"),
            min_rows=pd.get_option("display.min_rows"),
        )
        return f"{text}\n{notes}" if notes else text


def _notes(shown: pd.DataFrame, width: int) -> str:
    """The notes, each once, after the names of the layers that have it."""
    noted = shown[shown["note"] != ""]
    lines = []
    for note, rows in noted.groupby("note", sort=False):
        layers = list(dict.fromkeys(map(str, rows["layer"])))
        more = f" and {len(layers) - _NAMED} more" if len(layers) > _NAMED else ""
        lines.append(
            textwrap.fill(f"{', '.join(layers[:_NAMED])}{more}: {note}", width, subsequent_indent="  ")
        )
    return "\n".join(lines)
