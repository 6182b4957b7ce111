"""The cell of Figs. 13 and 14: histograms of the activations of some layers."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from normscope.papers.bjorck2018.cells.configuration import AtInitialisation
from normscope.papers.bjorck2018.cells.costs import step_seconds
from normscope.papers.bjorck2018.layers import layer_name
from normscope.protocol import Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa

BINS = 80
LAYERS = (9, 45, 81, 83)
"""The paper's layers; all are the second convolutions of their blocks."""


@dataclasses.dataclass(frozen=True)
class SomeLayers(AtInitialisation):
    """A network at its initialisation, and the numbers of the second convolutions whose activations are measured."""

    layers: tuple[int, ...] = LAYERS


def sum_name(number: int) -> str:
    """The name of the module whose output is the sum of a second convolution's branch and its shortcut."""
    block = layer_name(number).split(".")[1]
    return f"blocks.{block}.sum"


def branch_name(number: int) -> str:
    """The name of the module whose output is that of a second convolution, after the norm that follows it, if any."""
    return layer_name(number).removesuffix(".conv")


@cell(
    name="bjorck2018.activation_histograms",
    version=1,
    cost=lambda config: 1 + 0.8 * step_seconds(config.depth, config.batch),
)
def activation_histograms(config: SomeLayers) -> pa.Table:
    """Histograms of each channel's values before the last ReLU of some blocks, from two forward passes.

    Measured are, of each layer, its own output (after its norm, if it has one), and the sum of it and the shortcut,
    which is what the ReLU receives; ``layer`` is the name of the module that puts it out. Bins are of equal width
    between the smallest and the largest value of all channels.

    Rows, by layer: ``edge``, the bins' edges, by ``index``; by layer, channel and bin (``index``): ``count``; by layer
    and channel: ``positive`` and ``negative``, the shares of values above and below 0, ``mean`` and ``std``.
    """
    from normscope.papers.bjorck2018.cells import recipe
    from normscope.probes import histograms

    start, rows = recipe.start(config), Rows()
    names = [name(number) for number in config.layers for name in (branch_name, sum_name)]
    found = histograms(start.model, start.x, names, bins=BINS)
    for layer, channels in found.groupby("layer", sort=False):
        name = str(layer)
        first = channels[channels["channel"] == 0]
        rows.add_each("edge", [*first["left"], first["right"].iloc[-1]], layer=name)
        for channel, bins in channels.groupby("channel"):
            place: dict[str, Any] = {"layer": name, "channel": channel}
            rows.add_each("count", bins["count"], **place)
            for measure in ("positive", "negative", "mean", "std"):
                rows.add(measure, bins[measure].iloc[0], **place)
    return rows.table()
