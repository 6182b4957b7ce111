"""The cell of Figs. 20 and 21: the gradients of one kernel, taken apart by the class that they come from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from normscope.papers.bjorck2018.cells.configuration import AtInitialisation
from normscope.papers.bjorck2018.cells.costs import step_seconds
from normscope.papers.bjorck2018.layers import layer_name
from normscope.protocol import Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa

QUANTILES = 200
"""Of the |gradients| of a class, the quantiles 0/200 to 200/200 are kept."""


@dataclasses.dataclass(frozen=True)
class OneKernel(AtInitialisation):
    """A network at its initialisation, and the number of the convolution that is measured."""

    kernel: int = 52


def _seconds(config: OneKernel) -> float:
    """A forward pass, and ten passes back as far as the layer, which compute no gradients of weights above it."""
    above = 1 - config.kernel / config.depth
    return 1 + step_seconds(config.depth, config.batch) * (1 / 3 + 10 * above / 3)


@cell(name="bjorck2018.class_gradients", version=1, cost=_seconds)
def kernel_by_class(config: OneKernel) -> pa.Table:
    """The gradients of a kernel's weights with the loss's gradient at the logits masked to one class at a time.

    Rows, by class (``channel``): ``mean_abs`` and ``median_abs`` of |gradient| over the kernel's weights;
    ``quantile_abs``, its quantiles at ``index``/200; and ``favoured``, the share of the batch's images that the network
    puts into the class.
    """
    import numpy as np

    from normscope.papers.bjorck2018.cells import recipe
    from normscope.probes import class_gradients, output_gradients

    start, rows = recipe.start(config), Rows()
    layer = layer_name(config.kernel)
    found = class_gradients(start.model, start.x, start.y, [layer], values=True)
    for number, gradients in found.groupby("class"):
        sizes = gradients["gradient"].abs().to_numpy()
        place: dict[str, Any] = {"layer": layer, "channel": number}
        rows.add("mean_abs", sizes.mean(), **place)
        rows.add("median_abs", np.median(sizes), **place)
        quantiles = np.quantile(sizes, np.linspace(0, 1, QUANTILES + 1))
        rows.add_each("quantile_abs", quantiles.tolist(), by="index", **place)
    logits = output_gradients(start.model, start.x, start.y).pivot(
        index="image", columns="class", values="output"
    )
    favoured = np.bincount(logits.to_numpy().argmax(1), minlength=start.classes) / len(start.x)
    rows.add_each("favoured", favoured.tolist(), by="channel")
    return rows.table()
