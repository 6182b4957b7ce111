"""The look of all figures: axes, and lines of medians with quartile bands."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from matplotlib.axes import Axes as Panel
from matplotlib.axis import Axis
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from normscope.report.legends import legend_below, legend_growth, legend_inside

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
    "PANEL_INCHES",
    "PURPLE",
    "SKY",
    "VERMILION",
    "Figure",
    "Look",
    "Panel",
    "add_panels",
    "bare",
    "brief_numbers",
    "curve",
    "interval",
    "label_edges",
    "legend_below",
    "legend_growth",
    "legend_inside",
    "log_y",
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

PANEL_INCHES = (4.6, 3.4)
_MARKER_POINTS = 4.5
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
    inches, height = PANEL_INCHES
    figure = Figure(figsize=(inches * columns, height * rows), layout="constrained")
    return figure, add_panels(figure, rows, columns, share_y)


def add_panels(
    figure: Figure | SubFigure, rows: int, columns: int, share_y: bool | Literal["row"] = False
) -> list[Panel]:
    """Fill a figure with panels, row by row."""
    axes = list(figure.subplots(rows, columns, sharey=share_y, squeeze=False).flat)
    for panel in axes:
        bare(panel)
        panel.set_ylim(0.1, 1, auto=True)  # Kept where no value is finite: a logarithmic axis can show it.
    return axes


def bare(panel: Panel) -> None:
    """Give a panel a light grid, and no frame above and right."""
    panel.grid(visible=True, which="major", color="0.9", linewidth=0.8)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_axisbelow(True)


def log_y(axes: Panel, label: str = "") -> None:
    """Make a panel's vertical axis logarithmic.

    Call it before anything is drawn: :func:`median_band` and :func:`markers` then put what the axis cannot show, 0 and
    less, at its lower edge.
    """
    axes.set(yscale="log", ylabel=label)


def median_band(axes: Panel, runs: pd.DataFrame, x: str, look: Look, label: str) -> None:
    """Draw the median of ``runs["value"]`` over seeds against column ``x``, and the band between its quartiles.

    Where the median is not finite, the line ends and a hollow marker is at the panel's upper edge. Where it is 0 and
    the axis is logarithmic, the line ends and a hollow marker is at the lower edge.
    """
    numbers = runs[[x, "value"]].astype(float)
    groups = [(position, np.sort(group.to_numpy())) for position, group in numbers.groupby(x)["value"]]
    positions = np.array([position for position, _ in groups], dtype=float)
    low, middle, high = (
        np.array([_quantile(values, share) for _, values in groups]) for share in (0.25, 0.5, 0.75)
    )
    floor = 0.0 if axes.get_yscale() == "log" else -math.inf
    finite = np.isfinite(middle)
    inside = finite & (middle > floor)
    axes.plot(
        positions,
        np.where(inside, middle, np.nan),
        color=look.color,
        marker=look.marker,
        linestyle=look.dashes,
        label=label,
        markersize=_MARKER_POINTS,
        linewidth=1.6,
    )
    band = np.isfinite(low) & np.isfinite(high) & (high > floor)
    axes.fill_between(positions, low, high, where=band.tolist(), color=look.color, alpha=0.18, linewidth=0)
    if not finite.all():
        _mark_edge(axes, positions[~finite], 1.0, look)
        _remark(axes, "diverged", (1, 1), 6)
    if (finite & ~inside).any():
        _mark_edge(axes, positions[finite & ~inside], 0.0, look)
        _remark(axes, "0 at this edge", (1, 0), 6)


def _mark_edge(axes: Panel, x: ArrayLike, height: float, look: Look) -> None:
    """Hollow markers at a height in units of the panel: 0 is its lower edge and 1 its upper."""
    axes.plot(
        x, np.full(np.shape(x), height), color=look.color, marker=look.marker or "o", linestyle="none",
        fillstyle="none", markersize=_MARKER_POINTS, transform=axes.get_xaxis_transform(), clip_on=False,
    )  # fmt: skip


def _remark(axes: Panel, text: str, place: tuple[float, float], up: float) -> None:
    """A small grey text, once, that ends at a place in units of the panel."""
    if text not in (found.get_text() for found in axes.texts):
        axes.annotate(
            text, place, xycoords="axes fraction", xytext=(0, up), textcoords="offset points", ha="right",
            fontsize=8, color="0.4",
        )  # fmt: skip


def markers(
    axes: Panel, x: ArrayLike, y: ArrayLike, look: Look, label: str = "", *, hollow: bool = True
) -> None:
    """Points without a line, in a look's colour and marker; hollow ones show how many lie in one place.

    A point at 0 on a logarithmic axis is at the panel's edge.
    """
    across, up = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    left = (across <= 0) & (axes.get_xscale() == "log")
    low = (up <= 0) & (axes.get_yscale() == "log")
    transforms = {
        (False, False): axes.transData,
        (True, False): axes.get_yaxis_transform(),
        (False, True): axes.get_xaxis_transform(),
        (True, True): axes.transAxes,
    }
    for (is_left, is_low), transform in transforms.items():
        here = (left == is_left) & (low == is_low)
        at_edge = is_left or is_low
        if here.any() or not at_edge:
            axes.plot(
                np.where(is_left, 0, across)[here], np.where(is_low, 0, up)[here], color=look.color,
                marker=look.marker, linestyle="none", fillstyle="none" if hollow else "full",
                markersize=_MARKER_POINTS, transform=transform, clip_on=not at_edge,
                label=None if at_edge else label or None,
            )  # fmt: skip
    if low.any():
        _remark(axes, "0 at this edge", (1, 0), 6)
    if left.any():
        _remark(axes, "0 at the left edge", (1, 0), 16)


def curve(axes: Panel, x: ArrayLike, y: ArrayLike, color: str, label: str = "", dashes: str = "-") -> None:
    """A thin line without points, such as a closed form."""
    axes.plot(x, y, color=color, linestyle=dashes, linewidth=1.2, label=label or None)


def interval(
    axes: Panel, y: float, ends: tuple[float, float, float], look: Look, *, hollow: bool = False
) -> None:
    """A line from the first to the last of three numbers and a marker at the middle one, at the height ``y``.

    What is infinite is at the panel's right edge; what is 0 on a logarithmic axis is at the left edge.
    """
    low, middle, high = ends
    is_zero = middle <= 0 and axes.get_xscale() == "log"
    at_edge = is_zero or math.isinf(middle)
    x, transform = (float(not is_zero), axes.get_yaxis_transform()) if at_edge else (middle, axes.transData)
    if math.isfinite(high):
        axes.plot([low, high], [y, y], color=look.color, linewidth=1.6)
    axes.plot(
        x, y, look.marker, color=look.color, markersize=6, fillstyle="none" if hollow else "full",
        transform=transform, clip_on=False,
    )  # fmt: skip


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


def brief_numbers(axis: Axis) -> None:
    """Ticks as :func:`plain_numbers` sets them; a far power of ten is written as one."""
    plain_numbers(axis)
    axis.set_major_formatter(FuncFormatter(lambda number, _: _brief(number)))


def _brief(number: float) -> str:
    power = round(math.log10(number)) if number > 0 else 0
    return f"$10^{{{power}}}$" if abs(power) > 2 and math.isclose(number, 10.0**power) else f"{number:g}"


class _FewTicks(LogLocator):
    """1, 2, 5 of every decade while their labels have room beside one another, else 1 of every decade."""

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """The ticks of the range that an axis shows."""
        decades = math.log10(vmax / vmin) if vmin > 0 else 1
        self.set_params(subs=(1.0, 2.0, 5.0) if decades <= _DENSE_DECADES else (1.0,))
        return super().tick_values(vmin, vmax)


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
