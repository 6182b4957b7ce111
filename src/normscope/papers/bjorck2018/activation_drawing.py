"""What Figs. 13 and 14 show: the histograms of some channels of four layers."""

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018.cells.activations import LAYERS
from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.readings.activations import Histogram, first_histograms
from normscope.report import plots

CAPTION = (
    "Clockwise from the top left: layers 9, 45, 81 and 83. Lines: what the ReLU receives (the layer's output and the "
    "shortcut) in five channels, from the one with the smallest mean to the one with the largest. Grey: the layer's "
    "own output, all channels. Every curve is in units of its largest value; the horizontal scales differ."
)
_CHANNELS = {
    0.0: "smallest mean",
    0.25: "at a quarter",
    0.5: "median",
    0.75: "at three quarters",
    1.0: "largest mean",
}
_LOOKS = (
    (plots.BLACK, "-"), (plots.BLUE, ":"), (plots.GREEN, "-"), (plots.VERMILION, "--"), (plots.BLACK, "-."),
)  # fmt: skip
_SHOWN = 0.001
"""The share of values on either side that may lie outside the panel."""


def draw_histograms(table: pd.DataFrame, norm: str) -> plots.Figure:
    """A panel a layer, clockwise, with five channels of the sums and the layer's own output."""
    figure, (top_left, top_right, below_left, below_right) = plots.new_figure(4, columns=2)
    for axes, layer in zip((top_left, top_right, below_right, below_left), LAYERS, strict=True):
        sums, own = first_histograms(table, norm, layer)
        axes.stairs(
            _relative(own.shares.sum(axis=0)), own.edges, fill=True, color="0.88", label="layer's own output"
        )
        ranked = sums.shares[np.argsort(sums.means)]
        for (place, words), (color, dashes) in zip(_CHANNELS.items(), _LOOKS, strict=True):
            channel = ranked[round(place * (len(ranked) - 1))]
            axes.stairs(
                _relative(channel),
                sums.edges,
                color=color,
                linestyle=dashes,
                linewidth=1.3,
                label=f"sum, {words}",
            )
        axes.axvline(0, color="0.4", linewidth=0.8, zorder=0)
        axes.set(
            title=f"layer {layer}, {NETWORKS[norm]}", xlabel="activation", ylabel="relative frequency",
            xlim=_range(sums), ylim=(0, 1.05),
        )  # fmt: skip
    plots.legend_below(figure)
    return figure


def _relative(counts: np.ndarray) -> np.ndarray:
    largest = counts.max()
    return counts / largest if largest > 0 else counts


def _range(sums: Histogram) -> tuple[float, float]:
    """The range that holds all but a small share of the values on either side."""
    shares = np.cumsum(sums.shares.mean(axis=0))
    low = int(np.searchsorted(shares, _SHOWN))
    high = int(np.searchsorted(shares, 1 - _SHOWN))
    return float(sums.edges[low]), float(sums.edges[min(high + 1, len(sums.edges) - 1)])
