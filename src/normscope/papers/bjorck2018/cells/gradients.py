"""The cells of Figs. 2, 7, 15, 18 and 19: gradients of parameters at initialisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normscope.papers.bjorck2018.cells.configuration import AtInitialisation
from normscope.papers.bjorck2018.cells.costs import step_seconds
from normscope.protocol import Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa


@cell(
    name="bjorck2018.layer_gradients",
    version=1,
    cost=lambda config: 0.5 + step_seconds(config.depth, config.batch),
)
def layer_gradients(config: AtInitialisation) -> pa.Table:
    """The mean size of the gradients of each convolution, from one backward pass.

    Rows, by the name of the convolution: ``weight_gradient``, the mean of |∂L/∂w| over its weights, and
    ``bias_gradient``, the mean over its output channels of |∂L/∂β|, where β is the bias of the norm that follows, or
    the convolution's own bias if none follows.
    """
    from normscope.nn import module_kinds
    from normscope.papers.bjorck2018.cells import recipe
    from normscope.probes import gradients

    start, rows = recipe.start(config), Rows()
    found = gradients(start.model, start.x, start.y).set_index(["layer", "parameter"])["mean_abs"]
    for layer, _ in module_kinds.layers(start.model):
        if layer != "fc":
            norm = f"{layer.removesuffix('conv')}norm"
            after = norm if (norm, "bias") in found.index else layer
            rows.add("weight_gradient", found[layer, "weight"], layer=layer)
            rows.add("bias_gradient", found[after, "bias"], layer=layer)
    return rows.table()
