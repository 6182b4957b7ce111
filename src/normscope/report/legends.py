"""Legends: where they are, and the room that they need."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from normscope.report.labels import width

_LEAST_INCHES = 2.3
_HANDLE_INCHES = 0.6
_ROW_INCHES = 0.22
_USUAL_ROWS = 3


def legend_below(figure: Figure | SubFigure, panels: Sequence[Axes] | None = None) -> None:
    """One legend under all panels, where it hides nothing; a figure grows with the rows of a long one.

    Args:
        figure: the figure.
        panels: the panels whose lines it explains; by default the first that has a labelled line.
    """
    found = [axes.get_legend_handles_labels() for axes in panels or figure.axes]
    found = [entries for entries in found if entries[1]][: None if panels else 1]
    handles = [handle for handles, _ in found for handle in handles]
    labels = [label for _, labels in found for label in labels]
    if not labels:
        return
    inches = figure.bbox.width / figure.get_dpi()
    columns = _columns(labels, inches)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
    if isinstance(figure, Figure):
        figure.set_figheight(figure.get_figheight() + legend_growth(labels, inches))


def legend_growth(labels: Sequence[str], inches: float) -> float:
    """The inches that a legend of more than a few rows needs beyond the room that a panel has for one."""
    rows = math.ceil(len(labels) / _columns(labels, inches)) if labels else 0
    return max(0, rows - _USUAL_ROWS) * _ROW_INCHES


def legend_inside(axes: Axes, place: str) -> None:
    """A small legend in a corner of a panel, such as ``"upper left"``."""
    axes.legend(frameon=False, fontsize=8, loc=place)  # type: ignore[call-overload]


def _columns(labels: Sequence[str], inches: float) -> int:
    entry = max(_LEAST_INCHES, _HANDLE_INCHES + max(map(width, labels)))
    return max(1, int(inches / entry))
