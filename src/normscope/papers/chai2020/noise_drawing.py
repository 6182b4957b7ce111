"""Fig. 10 redrawn: curves for each rate and noise, and below them each arrangement's sensitivity."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from normscope.papers.chai2020.drawing import mark_chance
from normscope.papers.chai2020.noise import ARRANGEMENTS
from normscope.papers.chai2020.noise_readings import Estimate, error_curves, sensitivity
from normscope.protocol import NotJudgedError, select
from normscope.report.plots import Look, Panel, legend_below, median_band, new_figure, show_percent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

LOOKS = {
    "baseline": Look("#000000", "o", "--"),
    "batch": Look("#D55E00", "s", "-"),
    "prior": Look("#0072B2", "v", "-."),
    "nlms_l1": Look("#B8860B", "^", "-."),
    "nlms_l2": Look("#009E73", "D", "-"),
    "nlms_l1_sum": Look("#E8B84A", "+", ":"),
    "nlms_l2_sum": Look("#7CCBB0", "x", ":"),
}
"""The colours of Figs. 6 to 8 where an arrangement is theirs; both readings of an NLMS share a hue."""

_SOLID = {"+": "P", "x": "X"}
"""Markers that can be filled or hollow for those that cannot."""


def draw(table: pd.DataFrame) -> Figure:
    """Columns are rates; a row a noise, then the sensitivities."""
    errors = error_curves(table)
    by_epoch = errors.melt(ignore_index=False).reset_index()
    rates, noises = list(errors.index.unique("rate")), list(errors.index.unique("noise"))
    figure, panels = new_figure(len(rates) * (len(noises) + 1), columns=len(rates))
    letters = iter("abcdefgh")
    for row, noise in enumerate(noises):
        for column, rate in enumerate(rates):
            axes = panels[row * len(rates) + column]
            axes.sharey(panels[0])
            _draw_curves(axes, select(by_epoch, rate=rate, noise=noise))
            axes.set_title(f"({next(letters)}) rate {rate:g}, {f'noise {noise:g}' if noise else 'no noise'}")
            _label_edges(axes, left=column == 0, bottom=row == len(noises) - 1)
    for column, rate in enumerate(rates):
        axes = panels[len(rates) * len(noises) + column]
        axes.sharex(panels[len(rates) * len(noises)])
        _draw_sensitivities(axes, errors, rate, [noise for noise in noises if noise])
        axes.set_title(f"({next(letters)}) sensitivity, rate {rate:g}")
        _label_edges(axes, left=column == 0, bottom=True)
    legend_below(figure)
    return figure


def _label_edges(axes: Panel, *, left: bool, bottom: bool) -> None:
    """Leave a panel's axes labelled only where no other panel stands before it."""
    axes.tick_params(labelleft=left, labelbottom=bottom)
    axes.set_ylabel(axes.get_ylabel() if left else "")
    axes.set_xlabel(axes.get_xlabel() if bottom else "")


def _draw_curves(axes: Panel, errors: pd.DataFrame) -> None:
    for name, look in LOOKS.items():
        curves = errors[errors["arrangement"] == name]
        if not curves.empty:
            median_band(axes, curves, "epoch", look, ARRANGEMENTS[name].label)
    axes.set(xlabel="epoch", yscale="log", ylabel="validation error  [%]")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    show_percent(axes)
    mark_chance(axes)


def _draw_sensitivities(axes: Panel, errors: pd.DataFrame, rate: float, noises: list[float]) -> None:
    """A row an arrangement, from top to bottom as in the legend; filled for the first noise, hollow for the others."""
    names = list(LOOKS)
    for order, noise in enumerate(noises):
        for row, name in enumerate(names):
            estimate = _sensitivity(errors, name, rate, noise)
            if estimate is not None:
                shift = 0.22 * (order - (len(noises) - 1) / 2)
                _draw_estimate(axes, estimate, row + shift, LOOKS[name], hollow=order > 0)
    axes.axvline(1, color="0.6", linewidth=0.8, zorder=0)
    axes.set(xscale="log", xlabel="jitter with noise / without", ylim=(len(names) - 0.5, -0.5))
    axes.set_yticks(range(len(names)), [ARRANGEMENTS[name].label for name in names])
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _sensitivity(errors: pd.DataFrame, name: str, rate: float, noise: float) -> Estimate | None:
    try:
        return sensitivity(errors, name, rate, noise)
    except NotJudgedError:
        return None


def _draw_estimate(axes: Panel, estimate: Estimate, y: float, look: Look, *, hollow: bool) -> None:
    """A marker at the median and a line along the interval; what is infinite stands at the right edge."""
    marker = _SOLID.get(look.marker, look.marker)
    fill: Literal["none", "full"] = "none" if hollow else "full"
    if math.isinf(estimate.value):
        x, transform = 1.0, axes.get_yaxis_transform()
    else:
        x, transform = estimate.value, axes.transData
    if math.isfinite(estimate.high):
        axes.plot([estimate.low, estimate.high], [y, y], color=look.color, linewidth=1.6)
    axes.plot(
        x, y, marker, color=look.color, markersize=6, fillstyle=fill, transform=transform, clip_on=False
    )
