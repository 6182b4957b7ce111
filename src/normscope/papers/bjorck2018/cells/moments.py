"""The cell of Fig. 3: the moments of the convolutions' output channels at initialisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normscope.papers.bjorck2018.cells.configuration import AtInitialisation
from normscope.papers.bjorck2018.cells.costs import step_seconds
from normscope.protocol import Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa


@cell(
    name="bjorck2018.channel_moments",
    version=1,
    cost=lambda config: 1 + 0.7 * step_seconds(config.depth, config.batch),
)
def channel_moments(config: AtInitialisation) -> pa.Table:
    """The moments that the norm after each convolution measures, or would measure, from one forward pass.

    A channel's mean and variance are over batch and positions of the convolution's output, in float64.

    Rows, by the name of the convolution: ``mean_abs`` and ``variance``, averages over its channels of |channel mean|
    and of the channel variance; ``mean_abs_spread`` and ``variance_spread``, their standard deviations over channels.
    """
    from normscope.nn import module_kinds
    from normscope.papers.bjorck2018.cells import recipe
    from normscope.probes import moments

    start, rows = recipe.start(config), Rows()
    convolutions = [name for name, _ in module_kinds.layers(start.model) if name != "fc"]
    found = moments(start.model, start.x, convolutions)
    for layer, channels in found.groupby("layer", sort=False):
        for measure, values in (("mean_abs", channels["mean"].abs()), ("variance", channels["variance"])):
            rows.add(measure, values.mean(skipna=False), layer=str(layer))
            rows.add(f"{measure}_spread", values.std(ddof=0, skipna=False), layer=str(layer))
    return rows.table()
