"""Panels of the moments of channels by depth, from a table of ``probes.moments``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, to_rgba
from matplotlib.figure import Figure, SubFigure

from normscope.report.depth.layers import NAME_POINTS, Layers, draw_values, drawable, explain, label_look
from normscope.report.plots import BLUE, ORANGE, VERMILION, Look, Panel, legend_below, plain_numbers

SCALE_INCHES = 0.6
"""The height that :func:`show_scale` needs."""

_LOST, _DEAD, _UNMEASURED = VERMILION, "#000000", "#d0d0d0"
_FILLS = {_LOST: "power NaN or infinite", _DEAD: "power 0", _UNMEASURED: "not measured"}
"""The colours of cells outside the scale, in the words of the legend. Crosses tell the first apart in grey, too."""

_COLORS = ListedColormap(colormaps["viridis"](np.linspace(0.15, 1, 256)))
_CELLS = 256
_COLUMNS = 8 * _CELLS
_MOST_CROSSES = 40
_MOST_DECADES, _PLAIN_DECADES = 9, 3
_PAD_INCHES = 0.1
_ROUNDING = 1e-6
_SPREAD, _ABOVE, _BELOW = Look(BLUE, "s", "-"), Look(ORANGE, ">", "none"), Look(ORANGE, "<", "none")


def moments_figure(table: pd.DataFrame) -> Figure:
    """The power of every channel as a heat map, and the mean and the standard deviation of every layer."""
    layers = Layers.of(table)
    titles = "every channel of the layer's output", "all values of the layer's output"
    figure, (left, right) = layers.figure(titles, below=SCALE_INCHES)
    draw_power(left, layers, table, show_scale(figure, [left], [table]))
    label_fills(left, [table])
    explain(right, _draw_mean_and_spread(right, layers, table))
    legend_below(figure, [left, right])
    return figure


def show_scale(
    figure: Figure | SubFigure, panels: Sequence[Panel], tables: Sequence[pd.DataFrame]
) -> LogNorm:
    """Draw a bar under the panels that says which power a colour is.

    Returns:
        The scale, for :func:`draw_power`: logarithmic, over the powers of all tables, nine decades at most.
    """
    powers = np.concatenate([_numbers(table, "power") for table in tables])
    shown = powers[np.isfinite(powers) & (powers > 0)]
    high = float(shown.max(initial=0)) or 1.0
    least = float(shown.min(initial=high))
    low = max(least, high / 10**_MOST_DECADES)
    scale = LogNorm(low, high) if low < high else LogNorm(low / 2, high * 2)
    bar = figure.colorbar(
        ScalarMappable(scale, _COLORS),
        ax=list(panels),
        location="bottom",
        aspect=35 * len(panels),
        pad=_PAD_INCHES * figure.get_dpi() / figure.bbox.height,
        extend="min" if low > least else "neither",
        label="power $E[y^2]$ of a channel  [output power]",
    )
    if high < low * 10**_PLAIN_DECADES:
        plain_numbers(bar.ax.xaxis)
    return scale


def draw_power(axes: Panel, layers: Layers, table: pd.DataFrame, scale: LogNorm) -> None:
    """A row of cells a layer, a cell a channel, in the colour of the channel's power.

    Every row is as wide as the panel; the number of its channels is at the right edge. Of more than 256 channels,
    neighbours share a cell, which has the colour of the most powerful.

    Args:
        axes: the panel.
        layers: the panel's layers.
        table: with the columns ``layer``, ``channel`` and ``power``.
        scale: the colour scale, from :func:`show_scale`.
    """
    image = np.ones((len(layers.names), _COLUMNS, 4))
    counts = [0] * len(layers.names)
    places = layers.rows(table)
    for place in np.unique(places):
        rows = table[places == place]
        counts[place] = int(rows["channel"].notna().sum())
        cells = _cells(_numbers(rows, "power"))
        fills = _fills(cells, measured=counts[place] > 0)
        colors = np.where(
            fills[:, None] == "", _COLORS(scale(cells)), [to_rgba(fill or "k") for fill in fills]
        )
        image[place] = colors[np.arange(_COLUMNS) * len(cells) // _COLUMNS]
        lost = np.flatnonzero(fills == _LOST)
        lost = lost[:: max(1, math.ceil(len(lost) / _MOST_CROSSES))]
        axes.plot((lost + 0.5) / len(cells), [place] * len(lost), "kx", markersize=3, rasterized=True)
    bottom = len(layers.names) - 0.5
    axes.imshow(image, extent=(0, 1, bottom, -0.5), aspect="auto", interpolation="nearest", zorder=0.5)
    axes.grid(visible=False)
    axes.set(xticks=[], xlabel="channel, first to last (count at right)")
    _show_counts(axes, counts)


def label_fills(axes: Panel, tables: Iterable[pd.DataFrame]) -> None:
    """The entries of the legend for the cells of the tables that are outside the colour scale."""
    found: set[str] = set()
    for table in tables:
        measured = table["channel"].notna().to_numpy()
        found |= {*_fills(_numbers(table, "power")[measured]), *(() if measured.all() else (_UNMEASURED,))}
    for color, words in _FILLS.items():
        if color in found:
            label_look(axes, Look(color, "s", "none"), words)


def _draw_mean_and_spread(axes: Panel, layers: Layers, table: pd.DataFrame) -> set[str]:
    """Mean and standard deviation over all values of each layer; the mean's sign is its marker's direction.

    A mean below a millionth of the standard deviation is rounding, and shown as 0.
    """
    found = pd.DataFrame(
        [_mean_and_spread(str(name), rows) for name, rows in table.groupby("layer", sort=False)]
    )
    below, size = found["mean"] < 0, found["mean"].abs()
    sizes = found.assign(mean=size.mask(size < _ROUNDING * found["spread"], 0))
    axes.set_xlabel("mean and standard deviation  [output]")
    label_look(axes, _SPREAD, "standard deviation")
    edges = draw_values(axes, layers, found, "spread", _SPREAD, "max")
    for look, words, chosen in ((_ABOVE, "mean above 0", ~below), (_BELOW, "mean below 0", below)):
        label_look(axes, look, words)
        edges |= draw_values(axes, layers, sizes[chosen], "mean", look, "max")
    return edges


def _mean_and_spread(layer: str, channels: pd.DataFrame) -> dict[str, float | str]:
    """Of a layer's channels together; they have equally many values each."""
    means, variances = _numbers(channels, "mean"), _numbers(channels, "variance")
    with np.errstate(invalid="ignore", over="ignore"):  # a channel that is not finite makes the layer so
        return {
            "layer": layer,
            "mean": float(means.mean()),
            "spread": float(np.sqrt(variances.mean() + means.var())),
        }


def _show_counts(axes: Panel, counts: Sequence[int]) -> None:
    """The number of channels at the right edge of every row that is named."""
    shown = [int(place) for place in axes.get_yticks()]
    right = axes.secondary_yaxis("right")
    right.set_yticks(shown, [f"{counts[place]:,}" if counts[place] else "" for place in shown])
    right.tick_params(length=0, labelsize=NAME_POINTS)
    right.spines["right"].set_visible(False)


def _cells(powers: np.ndarray) -> np.ndarray:
    """The powers, or those of as many cells as a panel can show: each its channels' largest, or NaN if one is lost."""
    if len(powers) <= _CELLS:
        return powers
    starts = -(-np.arange(_CELLS) * len(powers) // _CELLS)
    return np.maximum.reduceat(np.where(np.isfinite(powers), powers, math.nan), starts)


def _fills(powers: np.ndarray, *, measured: bool = True) -> np.ndarray:
    """The colour of each cell that is outside the scale; empty for the others."""
    if not measured:
        return np.full(len(powers), _UNMEASURED)
    return np.select([~np.isfinite(powers), powers <= 0], [_LOST, _DEAD], "")


def _numbers(table: pd.DataFrame, column: str) -> np.ndarray:
    return drawable(table[column].to_numpy(dtype=float, na_value=math.nan))
