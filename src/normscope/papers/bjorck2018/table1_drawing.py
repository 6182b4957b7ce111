"""How Table 1 is drawn: the four sums by layer, ours and the paper's, and the table of both."""

import itertools
import math

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018.cells.alignment import SUMS
from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.readings.alignment import LAYERS, MICRO, four_sums, medians, published
from normscope.protocol import select
from normscope.report import plots
from normscope.report.plots import Figure, Look

_LOOKS = dict(
    zip(
        LAYERS,
        (Look(plots.BLACK, "o", "--"), Look(plots.BLUE, "^", "-."), Look(plots.VERMILION, "s", "-")),
        strict=True,
    )
)
_SYMBOLS = (r"$\Sigma|d|$", r"$\Sigma_b|\Sigma_{xy}d|$", r"$\Sigma_{xy}|\Sigma_b d|$", r"$|\Sigma d|$")
_INCHES = 10.4, 7.4
_SHARE = 0.46
"""Of the figure's height, for the panels."""


def draw(table: pd.DataFrame) -> Figure:
    """A panel a network, and below them the table."""
    sums = four_sums(table)
    figure = Figure(figsize=_INCHES, layout="constrained")
    above, below = list(figure.subfigures(2, 1, height_ratios=[_SHARE, 1 - _SHARE], squeeze=False).flat)
    panels = plots.add_panels(above, 1, 2, share_y=True)
    for letter, axes, norm in zip("ab", panels, NETWORKS, strict=True):
        plots.log_y(axes, "" if letter == "b" else "average over weights and terms")
        for place, (number, look) in enumerate(_LOOKS.items()):
            _draw_layer(axes, select(sums, norm=norm, number=number), norm, number, look, 0.08 * (place - 1))
        axes.set_xticks(range(len(SUMS)), _SYMBOLS)
        axes.set(title=f"({letter}) {NETWORKS[norm]}", xlim=(-0.4, len(SUMS) - 0.6))
    plots.legend_below(above)
    _draw_table(below.subplots(), medians(sums))
    return figure


def _draw_layer(
    axes: plots.Panel, runs: pd.DataFrame, norm: str, number: int, look: Look, shift: float
) -> None:
    """One layer's four sums: the median over seeds with its quartiles, and the paper's."""
    if not runs.empty:
        long = runs.melt(["seed"], list(SUMS), "column", "value")
        long["place"] = long["column"].map({name: place + shift for place, name in enumerate(SUMS)})
        plots.median_band(axes, long, "place", look, f"layer {number}")
    printed = np.array(list(published(norm, number).values())) * MICRO
    label = "the paper's, hollow" if number == LAYERS[-1] else ""
    plots.markers(axes, np.arange(len(SUMS)) + shift, printed, look, label)


def _draw_table(axes: plots.Panel, ours: pd.DataFrame) -> None:
    """A row for each layer and network, ours and the paper's in brackets."""
    axes.axis("off")
    norms = ("batch", "none")
    numbers = sorted({int(number) for _, number in ours.index})
    rows = [pair for pair in itertools.product(norms, numbers) if pair in ours.index]
    cells = [
        [_cell(ours[column].to_dict()[pair], published(*pair).get(column, math.nan)) for column in SUMS]
        for pair in rows
    ]
    names = [f"layer {number}, {NETWORKS[norm]}" for norm, number in rows]
    shown = axes.table(
        cells,
        rowLabels=names,
        colLabels=[f"{name}  $[10^{{-6}}]$" for name in _SYMBOLS],
        loc="center",
        cellLoc="center",
    )
    shown.auto_set_font_size(False)
    shown.set_fontsize(8)
    for (row, column), cell in shown.get_celld().items():
        cell.set(edgecolor="0.85", linewidth=0.6)
        if row == 0 or rows[row - 1][1] in LAYERS:
            cell.get_text().set_fontweight("bold")
        if column == -1:
            cell.get_text().set_horizontalalignment("right")


def _cell(ours: float, printed: float) -> str:
    return _number(ours) if math.isnan(printed) else f"{_number(ours)}  ({_number(printed)})"


def _number(value: float) -> str:
    """Three digits, and all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
