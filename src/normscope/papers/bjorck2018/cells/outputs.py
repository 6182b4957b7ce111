"""The cell of Fig. 4: the gradient of each image's loss with respect to each logit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normscope.papers.bjorck2018.cells.configuration import AtInitialisation
from normscope.papers.bjorck2018.cells.costs import step_seconds
from normscope.protocol import Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa


@cell(
    name="bjorck2018.output_gradients",
    version=1,
    cost=lambda config: 1 + step_seconds(config.depth, config.batch) / 3,
)
def logit_gradients(config: AtInitialisation) -> pa.Table:
    """``∂L_b/∂z_bj`` of every image b and class j, where L_b is the cross-entropy of image b, and the logits z.

    Rows, by the image's place in the batch (``index``) and the class (``channel``): ``gradient`` and ``logit``; by the
    image's place alone: ``label``.
    """
    from normscope.papers.bjorck2018.cells import recipe
    from normscope.probes import output_gradients

    start, rows = recipe.start(config), Rows()
    found = output_gradients(start.model, start.x, start.y)
    for measure, column in (("gradient", "gradient"), ("logit", "output")):
        for image, number, value in found[["image", "class", column]].itertuples(index=False):
            rows.add(measure, value, index=image, channel=number)
    rows.add_each("label", start.y.tolist())
    return rows.table()
