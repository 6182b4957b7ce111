"""The look of all figures: axes, and lines of medians with quartile bands."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.axes import Axes as Panel
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

__all__ = [
    "BLACK",
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "PALETTE",
    "PURPLE",
    "SKY",
    "VERMILION",
    "Figure",
    "Look",
    "Panel",
    "curve",
    "interval",
    "label_edges",
    "legend_below",
    "legend_inside",
    "mark_level",
    "markers",
    "median_band",
    "new_figure",
    "plain_numbers",
    "rate_axis",
    "shade",
    "show_percent",
    "whole_numbers",
]

BLACK, BLUE, GREEN, ORANGE = "#000000", "#0072B2", "#009E73", "#E69F00"
PURPLE, SKY, VERMILION = "#CC79A7", "#56B4E9", "#D55E00"
"""Okabe and Ito's colours: people who cannot tell red from green can tell them apart, also in greyscale."""

PALETTE = (BLACK, VERMILION, BLUE, ORANGE, GREEN, PURPLE, SKY, "#7F7F7F")
"""For figures whose lines have no colour of their own: dark and light in turn, so that neighbours differ."""

GREY = "0.45"

_PANEL_INCHES = (4.6, 3.4)
_LEGEND_INCHES = 2.3
_LEGEND_HANDLE_INCHES = 0.6
_LETTER_INCHES = 0.085
_DENSE_DECADES = 2.7


@dataclasses.dataclass(frozen=True)
class Look:
    """How one line is drawn."""

    color: str
    marker: str
    dashes: str = "none"


def new_figure(
    panels: int, columns: int = 1, share_y: bool | Literal["row"] = False
) -> tuple[Figure, list[Panel]]:
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

    Where the median is not finite, the line ends and a hollow marker is at the panel's upper edge.
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


def markers(
    axes: Panel, x: ArrayLike, y: ArrayLike, look: Look, label: str = "", *, hollow: bool = True
) -> None:
    """Points without a line, in a look's colour and marker; hollow ones show how many lie in one place."""
    axes.plot(
        x, y, color=look.color, marker=look.marker, linestyle="none", fillstyle="none" if hollow else "full",
        markersize=4.5, label=label or None,
    )  # fmt: skip


def curve(axes: Panel, x: ArrayLike, y: ArrayLike, color: str, label: str = "", dashes: str = "-") -> None:
    """A thin line without points, such as a closed form."""
    axes.plot(x, y, color=color, linestyle=dashes, linewidth=1.2, label=label or None)


def interval(
    axes: Panel, y: float, ends: tuple[float, float, float], look: Look, *, hollow: bool = False
) -> None:
    """A line from the first to the last of three numbers and a marker at the middle one, at the height ``y``.

    What is infinite is at the panel's right edge.
    """
    low, middle, high = ends
    infinite = math.isinf(middle)
    x, transform = (1.0, axes.get_yaxis_transform()) if infinite else (middle, axes.transData)
    if math.isfinite(high):
        axes.plot([low, high], [y, y], color=look.color, linewidth=1.6)
    axes.plot(
        x, y, look.marker, color=look.color, markersize=6, fillstyle="none" if hollow else "full",
        transform=transform, clip_on=False,
    )  # fmt: skip


def legend_inside(axes: Panel, place: str) -> None:
    """A small legend in a corner of a panel, such as ``"upper left"``."""
    axes.legend(frameon=False, fontsize=8, loc=place)  # type: ignore[call-overload]


def label_edges(axes: Panel, *, left: bool, bottom: bool) -> None:
    """Leave a panel's axes labelled only at the edges of its figure."""
    axes.tick_params(labelleft=left, labelbottom=bottom)
    axes.set_ylabel(axes.get_ylabel() if left else "")
    axes.set_xlabel(axes.get_xlabel() if bottom else "")


def whole_numbers(axis: Axis) -> None:
    """Ticks at whole numbers only."""
    axis.set_major_locator(MaxNLocator(integer=True))


def plain_numbers(axis: Axis) -> None:
    """Ticks of a logarithmic axis at 1, 2, 5 of every decade, or at 1 of many decades, with the numbers written out."""
    axis.set_major_locator(_FewTicks())
    axis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))
    axis.set_minor_formatter(NullFormatter())


class _FewTicks(LogLocator):
    """1, 2, 5 of every decade while their labels have room beside one another, else 1 of every decade."""

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """The ticks of the range that an axis shows."""
        decades = math.log10(vmax / vmin) if vmin > 0 else 1
        self.set_params(subs=(1.0, 2.0, 5.0) if decades <= _DENSE_DECADES else (1.0,))
        return super().tick_values(vmin, vmax)


def legend_below(figure: Figure) -> None:
    """One legend for all panels, under them, where it hides nothing."""
    entries = (axes.get_legend_handles_labels() for axes in figure.axes)
    handles, labels = next((found for found in entries if found[1]), ([], []))
    if not labels:
        return
    longest = max(len(str(label)) for label in labels)
    entry = max(_LEGEND_INCHES, _LEGEND_HANDLE_INCHES + longest * _LETTER_INCHES)
    columns = max(1, round(figure.get_figwidth() / entry))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def mark_level(axes: Panel, level: float, text: str, dashes: str = "-") -> None:
    """A thin horizontal line with a word on it, such as the error of a guess."""
    axes.axhline(level, color="0.6" if dashes == "-" else "0.4", linewidth=0.8, linestyle=dashes, zorder=0)
    axes.annotate(
        text, (0.01, level), xycoords=("axes fraction", "data"), va="bottom", fontsize=8, color="0.4"
    )


def shade(axes: Panel, low: float, high: float, text: str) -> None:
    """A grey area over a range of the horizontal axis, with a word at its right edge."""
    axes.axvspan(low, high, color="0.92", zorder=0)
    axes.annotate(
        text, (high, 0.04), xycoords=("data", "axes fraction"), xytext=(-4, 0), textcoords="offset points",
        ha="right", fontsize=8, color="0.4",
    )  # fmt: skip


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
    """The linearly interpolated quantile; it stays exact where some values are infinite."""
    place = share * (len(ordered) - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    if below == above:
        return float(below)
    return float(below + (place - math.floor(place)) * (above - below))
