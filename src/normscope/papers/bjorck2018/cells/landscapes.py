"""The cells of Figs. 5, 6 and 24: the loss and the moments of layers along the gradient of a training batch."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from normscope.papers.bjorck2018.cells.configuration import Place
from normscope.papers.bjorck2018.cells.costs import step_seconds
from normscope.papers.bjorck2018.layers import layer_name
from normscope.protocol import Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa

STEM = layer_name(1)


@dataclasses.dataclass(frozen=True)
class GradientLine:
    """A line along the negative gradient of the batch of step ``at_step``, from the weights before that step.

    The run is one at a constant ``rate``. A point on the line is where one step of plain gradient descent at a rate in
    ``alphas`` leads. With ``double``, the points are computed in float64.
    """

    norm: str
    rate: float
    at_step: int
    seed: int
    data: str
    images: int
    depth: int
    alphas: tuple[float, ...]
    place: Place = "after"
    batch: int = 128
    double: bool = False


_FLOAT64, _MOMENTS = 8.0, 2.0
"""How many times a pass in float64, or one that measures moments, takes as long as a plain one."""


def _seconds(line: GradientLine) -> float:
    passes = len(line.alphas) * (_FLOAT64 if line.double else 1) / 3
    return 1 + (line.at_step + passes) * step_seconds(line.depth, line.batch)


@cell(name="bjorck2018.loss_along_gradient", version=1, cost=_seconds)
def loss_along_gradient(config: GradientLine) -> pa.Table:
    """Train to the step, and measure its batch's loss along the negative gradient −g.

    Rows: ``alpha``, ``distance`` (α‖g‖) and ``loss`` at each point, numbered by ``index`` from 0; ``gradient_norm``,
    ‖g‖, and with a layer that of the first convolution's weights alone; ``classes`` of the data. A run that diverges
    before the step has ``diverged`` with that step and its loss, and nothing else.
    """
    rows = Rows()
    _measure_line(config, rows, None)
    return rows.table()


@cell(name="bjorck2018.moments_along_gradient", version=1, cost=lambda line: _MOMENTS * _seconds(line))
def moments_along_gradient(config: GradientLine) -> pa.Table:
    """As :func:`loss_along_gradient`, with the moments of the convolutions' outputs.

    Rows: those of :func:`loss_along_gradient`; by layer and point (``index``) ``mean``, the average over channels of
    the channel mean's magnitude, and ``variance``, the average of the channels' variances.
    """
    rows = Rows()
    _measure_line(config, rows, [layer_name(number) for number in range(1, config.depth)])
    return rows.table()


def _measure_line(config: GradientLine, rows: Rows, moments: list[str] | None) -> None:
    """Add the rows of the line, with the moments of the named layers."""
    import torch

    from normscope import probes
    from normscope.papers.bjorck2018.cells.diverging import train_until
    from normscope.papers.shared.images import facts_of

    model, batches, divergence = train_until(config, config.at_step - 1)
    if divergence is not None:
        rows.add("diverged", divergence.loss, step=divergence.step)
        return
    x, y = next(batches)
    parameters = dict(model.named_parameters())
    loss = torch.nn.functional.cross_entropy(model(x), y)
    gradient = dict(zip(parameters, torch.autograd.grad(loss, tuple(parameters.values())), strict=True))
    rows.add(
        "gradient_norm", math.sqrt(sum(part.double().square().sum().item() for part in gradient.values()))
    )
    rows.add("gradient_norm", gradient[f"{STEM}.weight"].double().norm().item(), layer=STEM)
    rows.add("classes", facts_of(config.data).outputs)
    table = probes.landscape(
        model,
        x,
        y,
        {name: -part for name, part in gradient.items()},
        config.alphas,
        moments=moments,
        dtype=torch.float64 if config.double else None,
    )
    for place, alpha in enumerate(config.alphas):
        points = table[table["step"] == alpha]
        rows.add("alpha", alpha, index=place)
        for measure in ("distance", "loss"):
            rows.add(measure, points[measure].iloc[0], index=place)
        if moments is not None:
            for measure in ("mean", "variance"):
                for layer, value in zip(points["layer"], points[measure], strict=True):
                    rows.add(measure, value, layer=layer, index=place)
