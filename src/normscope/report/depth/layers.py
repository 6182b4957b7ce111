"""The vertical axis of panels by depth: a layer a row, the first of the table at the top."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from normscope.report.labels import abbreviated, literal, width
from normscope.report.plots import Look, Panel, bare, brief_numbers

ZERO, INFINITE, MISSING = "0, at the left edge", "infinite, at the right edge", "no number"
"""What a marker at a panel's edge says, in the words of the legend."""

_EDGES = {ZERO: (0.0, ""), INFINITE: (1.0, ""), MISSING: (1.0, "x")}
"""The place of each, in units of the panel, and its marker; where that is empty, the marker of the values, hollow."""

_PANEL_INCHES = 4.0
NAME_POINTS = 7.5
_NAME_INCHES = 2.6
_ROW_INCHES, _NAMED_ROW_INCHES = 0.19, 0.125
_LEAST_INCHES, _MOST_INCHES = 2.2, 9.0
_AROUND_INCHES = 1.3
_POINT = 4.5
_FEW, _DENSE = 60, 300
_TINY = 1e-100


@dataclasses.dataclass(frozen=True)
class Layers:
    """The layers of a table, each once, in the order of its rows.

    Attributes:
        names: the layers' names.
        name_inches: the width that a name may have; a longer one is abbreviated.
    """

    names: tuple[str, ...]
    name_inches: float = _NAME_INCHES

    @classmethod
    def of(cls, table: pd.DataFrame, name_inches: float = _NAME_INCHES) -> Layers:
        """The layers of a table that has a column ``layer``."""
        return cls(tuple(dict.fromkeys(map(str, table["layer"]))), name_inches)

    @property
    def inches(self) -> float:
        """The height of a panel that shows them."""
        return min(max(_ROW_INCHES * len(self.names), _LEAST_INCHES), _MOST_INCHES)

    def rows(self, table: pd.DataFrame) -> np.ndarray:
        """The height of each row of a table: the number of its layer, counted from 0 at the top."""
        number = {name: place for place, name in enumerate(self.names)}
        return np.array([number[str(name)] for name in table["layer"]], dtype=int)

    def figure(self, titles: Sequence[str], below: float = 0) -> tuple[Figure, list[Panel]]:
        """A figure with panels side by side, the layers named at the first, and inches for more below them."""
        names = max(width(label, NAME_POINTS) for label in self._labels)
        size = names + _PANEL_INCHES * len(titles), self.inches + _AROUND_INCHES + below
        figure = Figure(figsize=size, layout="constrained")
        axes = list(figure.subplots(1, len(titles), squeeze=False).flat)
        for panel, title in zip(axes, titles, strict=True):
            bare(panel)
            panel.set_title(title, fontsize=10)
            self.show(panel, named=panel is axes[0])
        return figure, axes

    def show(self, axes: Panel, *, named: bool = True) -> None:
        """Make a panel's vertical axis that of the layers; of many layers, every n-th is named."""
        labels = self._labels
        axes.set_yticks(
            range(0, len(self.names), self._every),
            labels if named else [""] * len(labels),
            fontsize=NAME_POINTS,
        )
        axes.set_ylim(len(self.names) - 0.5, -0.5)
        if named:
            few = f" (one in {self._every} is named)" if self._every > 1 else ""
            axes.set_ylabel(f"layer, from first to last{few}")

    @functools.cached_property
    def _labels(self) -> list[str]:
        shown = self.names[:: self._every]
        return [literal(abbreviated(name, self.name_inches, NAME_POINTS)) or "(the model)" for name in shown]

    @property
    def _every(self) -> int:
        return math.ceil(_NAMED_ROW_INCHES * len(self.names) / self.inches)


def draw_values(
    axes: Panel, layers: Layers, table: pd.DataFrame, column: str, look: Look, extreme: Literal["min", "max"]
) -> set[str]:
    """Draw a column by depth on a logarithmic axis: a point a row, and a line through the extreme of every layer.

    What the axis cannot show is at the panel's edge: a hollow marker for 0 and for infinite, a cross for a missing one.

    Returns:
        Which of :data:`ZERO`, :data:`INFINITE` and :data:`MISSING` occur, for :func:`explain`.
    """
    values, rows = drawable(table[column].to_numpy(dtype=float, na_value=math.nan)), layers.rows(table)
    inside = np.isfinite(values) & (values > 0)
    size, dense = (_POINT if len(layers.names) <= _FEW else _POINT / 2), len(rows) > _DENSE
    axes.set_xscale("log")
    brief_numbers(axes.xaxis)
    axes.plot(
        values[inside], rows[inside], color=look.color, marker=look.marker, linestyle="none", markersize=size,
        rasterized=dense,
    )  # fmt: skip
    line = pd.Series(np.where(inside, values, math.nan)).groupby(rows).agg(extreme)
    axes.plot(line, line.index, color=look.color, linestyle=look.dashes, linewidth=1)
    found = set()
    for what, where in ((ZERO, values <= 0), (INFINITE, values == math.inf), (MISSING, np.isnan(values))):
        if where.any():
            found.add(what)
            place, marker = _EDGES[what]
            axes.plot(
                np.full(int(where.sum()), place), rows[where], color=look.color, marker=marker or look.marker,
                linestyle="none", markersize=size, fillstyle="none", transform=axes.get_yaxis_transform(),
                clip_on=False, rasterized=dense,
            )  # fmt: skip
    return found


def drawable(values: np.ndarray) -> np.ndarray:
    """Numbers as the panels show them: of a size below 1e-100 as 0, and above 1e100 as infinite.

    An axis that reached so far would have no room for the other numbers.
    """
    size = np.abs(values)
    return np.select([size < _TINY, size > 1 / _TINY], [0.0, np.copysign(math.inf, values)], values)


def label_look(axes: Panel, look: Look, label: str, *, hollow: bool = False) -> None:
    """An entry of the legend for the values that were drawn in a look."""
    axes.plot(
        [], [], color=look.color, marker=look.marker, linestyle=look.dashes, markersize=_POINT, linewidth=1,
        fillstyle="none" if hollow else "full", label=label,
    )  # fmt: skip


def explain(axes: Panel, found: Iterable[str]) -> None:
    """Add what the markers at the edges say to a panel's entries of the legend."""
    for what, (_, marker) in _EDGES.items():
        if what in found:
            label_look(axes, Look("0.45", marker or "o", "none"), what, hollow=True)
