"""The look of all figures: axes, and lines of medians with quartile bands."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes as Panel
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Look",
    "Panel",
    "legend_below",
    "mark_level",
    "median_band",
    "new_figure",
    "rate_axis",
    "show_percent",
]

_PANEL_INCHES = (4.6, 3.4)
_LEGEND_INCHES = 2.3
_LEGEND_HANDLE_INCHES = 0.6
_LETTER_INCHES = 0.085


@dataclasses.dataclass(frozen=True)
class Look:
    """How one line is drawn."""

    color: str
    marker: str
    dashes: str


def new_figure(panels: int, columns: int = 1, share_y: bool = False) -> tuple[Figure, list[Panel]]:
    """A figure of so many panels, in rows of ``columns``, with light grids and no frame above and right."""
    rows = math.ceil(panels / columns)
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=share_y, squeeze=False)
    axes = list(grid.flat)
    for panel in axes:
        panel.grid(visible=True, which="major", color="0.9", linewidth=0.8)
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_axisbelow(True)
        panel.set_ylim(0.1, 1, auto=True)  # Kept where no value is finite: a logarithmic axis can show it.
    return figure, axes


def median_band(axes: Panel, runs: pd.DataFrame, x: str, look: Look, label: str) -> None:
    """Draw the median of ``runs["value"]`` over seeds against column ``x``, and the band between its quartiles.

    Where the median is not finite, the line ends and a marker at the panel's upper edge stands for it.
    """
    numbers = runs[[x, "value"]].astype(float)
    groups = [(position, np.sort(group.to_numpy())) for position, group in numbers.groupby(x)["value"]]
    positions = np.array([position for position, _ in groups], dtype=float)
    low, middle, high = (
        np.array([_quantile(values, share) for _, values in groups]) for share in (0.25, 0.5, 0.75)
    )
    finite = np.isfinite(middle)
    (line,) = axes.plot(
        positions,
        np.where(finite, middle, np.nan),
        color=look.color,
        marker=look.marker,
        linestyle=look.dashes,
        label=label,
        markersize=4.5,
        linewidth=1.6,
    )
    band = np.isfinite(low) & np.isfinite(high)
    axes.fill_between(positions, low, high, where=band.tolist(), color=look.color, alpha=0.18, linewidth=0)
    if not finite.all():
        axes.plot(
            positions[~finite],
            np.ones(int((~finite).sum())),
            transform=axes.get_xaxis_transform(),
            color=look.color,
            marker=look.marker,
            linestyle="none",
            fillstyle="none",
            markersize=line.get_markersize(),
            clip_on=False,
        )
        axes.annotate(
            "diverged",
            (1, 1),
            xycoords="axes fraction",
            xytext=(0, 6),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color="0.4",
        )


def legend_below(figure: Figure) -> None:
    """One legend for all panels, under them, where it hides nothing."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    longest = max(len(str(label)) for label in labels)
    entry = max(_LEGEND_INCHES, _LEGEND_HANDLE_INCHES + longest * _LETTER_INCHES)
    columns = max(1, round(figure.get_figwidth() / entry))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def mark_level(axes: Panel, level: float, text: str) -> None:
    """A thin horizontal line with a word on it, such as the error of a guess."""
    axes.axhline(level, color="0.6", linewidth=0.8, zorder=0)
    axes.annotate(
        text, (0.01, level), xycoords=("axes fraction", "data"), va="bottom", fontsize=8, color="0.4"
    )


def rate_axis(axes: Panel, label: str) -> None:
    """A logarithmic axis of learning rates, with the numbers written out."""
    axes.set(xscale="log", xlabel=label)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))


def show_percent(axes: Panel) -> None:
    """Label a logarithmic axis of shares in percent, with ticks at 1, 2, 5 of every decade."""
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_locator(FixedLocator([]))


def _quantile(ordered: np.ndarray, share: float) -> float:
    """The linearly interpolated quantile, which stays exact beside infinities."""
    place = share * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    if below == above:
        return float(below)
    return float(below + (place - math.floor(place)) * (above - below))
