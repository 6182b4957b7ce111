"""The cell of §4 and Appendix C: one layer of a deep linear network, trained by full-batch descent.

The network is trained with the framework's own gradient, in float64. The closed forms of
:mod:`normscope.theory.linear_network` share nothing with it but its weights at the start.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from typing import TYPE_CHECKING

from normscope.papers.shared.steps import in_equal_ratios
from normscope.protocol import Rows, cell

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray
    from torch import Tensor

    from normscope.networks import DeepLinear
    from normscope.theory.linear_network import LeastSquares

    Array = NDArray[np.float64]

TO_A_HUNDREDTH = 0.01
"""A mode has converged when this share of it is left."""


@dataclasses.dataclass(frozen=True)
class LayerDescent:
    """A descent on one layer.

    ``trained`` is the layer's number, from 1 at the input to ``depth`` at the output. ``share`` is the learning rate in
    units of ``2/(σ_max(Ā) σ_max(x))²``. Data and weights are drawn by the seed.
    """

    depth: int
    trained: int
    share: float
    seed: int
    steps: int
    width: int = 16
    examples: int = 64


@cell(
    name="bjorck2018.descend_linear_network",
    version=1,
    cost=lambda run: 0.2 + run.steps * (1.5e-4 + 2.5e-5 * run.depth),
)
def descend_linear_network(config: LayerDescent) -> pa.Table:
    """Train the layer, and compare it with the least-squares problems of Appendix C.

    Rows: ``condition``, κ of Ā times κ of the layer's inputs; ``loss``, measured, by step; by recorded step
    ``loss_law``, and by column j (``index``) of ``A U`` its ``size`` in closed form and ``error``, the distance of the
    network's column from it. Column j of A U is ``b_j/σ_j``: it has the scale of the weights A. Of the slowest mode:
    ``steps_law`` to a hundredth of its start in closed form, ``steps``, those that follow from how
    far the network moved it, and ``moved``, how far that was in units of the size of ``A U Σ``.
    """
    import numpy as np
    import torch

    from normscope import training

    model, x, y = _start(config)
    layer = model.linear_layers[config.trained - 1].weight
    problem = _problem(model, x, y, config.trained)
    rate = config.share * problem.stability_bound
    measured_at = _visible_step(problem, rate, config.steps)
    recorded = in_equal_ratios(config.steps, count=20) | {measured_at}
    start = problem.variables(layer.numpy(force=True))
    variables, losses = {0: start}, {}

    def record(step: int, loss: float) -> None:
        losses[step - 1] = loss  # it was taken before the step
        if step in recorded:
            variables[step] = problem.variables(layer.numpy(force=True))

    def loss_function(output: Tensor, target: Tensor) -> Tensor:
        return (output - target).square().sum() / 2

    training.train(
        model,
        torch.optim.SGD([layer], lr=rate),
        itertools.repeat([(x, y)], config.steps),
        loss_function=loss_function,
        limit=training.NO_LIMIT,
        after_step=record,
    )
    with torch.no_grad():
        losses[config.steps] = loss_function(model(x), y).item()

    rows = Rows()
    rows.add("condition", problem.condition)
    for step, loss in sorted(losses.items()):
        rows.add("loss", loss, step=step)
    for step in sorted(variables):
        law = problem.after(start, rate, step)
        rows.add("loss_law", problem.loss(law), step=step)
        for measure, columns in (("size", law), ("error", variables[step] - law)):
            rows.add_each(measure, np.linalg.norm(columns / problem.scales, axis=0), step=step)
    steps, moved = _measured_steps(problem, start, variables[measured_at], rate, measured_at)
    rows.add("steps_law", problem.steps_to_converge(rate, TO_A_HUNDREDTH))
    rows.add("steps", steps)
    rows.add("moved", moved)
    return rows.table()


def _start(config: LayerDescent) -> tuple[DeepLinear, Tensor, Tensor]:
    """The network, of which only the layer is trained, inputs and targets: rows are examples."""
    import torch

    from normscope import devices, networks
    from normscope.generators import seeded

    with seeded(config.seed):
        model = networks.deep_linear(config.depth, config.width, "none").double()
    model.requires_grad_(False)
    model.linear_layers[config.trained - 1].weight.requires_grad_()
    generator = torch.Generator().manual_seed(config.seed)
    shape = 2, config.examples, config.width
    x, y = torch.randn(shape, generator=generator, dtype=torch.float64).to(devices.current())
    return model.to(devices.current()), x, y


def _problem(model: DeepLinear, x: Tensor, y: Tensor, layer: int) -> LeastSquares:
    """The least-squares problems of a layer; the paper's matrices have a column for each example."""
    import numpy as np

    from normscope.theory.linear_network import least_squares

    weights = [one.weight.numpy(force=True) for one in model.linear_layers]
    above = functools.reduce(lambda product, one: one @ product, weights[layer:], np.eye(len(weights[0])))
    inputs = functools.reduce(lambda product, one: one @ product, weights[: layer - 1], x.numpy(force=True).T)
    return least_squares(above, inputs, y.numpy(force=True).T)


def _visible_step(problem: LeastSquares, rate: float, steps: int) -> int:
    """The step at which the slowest mode is a tenth of its start, or the last one where it takes longer."""
    tenth = problem.steps_to_converge(rate, 0.1)
    return max(1, min(steps, math.floor(tenth))) if math.isfinite(tenth) else steps


def _measured_steps(
    problem: LeastSquares, start: Array, ended: Array, rate: float, steps: int
) -> tuple[float, float]:
    """The steps to a hundredth by the slowest mode's movement in so many steps; and that movement.

    The mode's distance c from its solution became ``c + Δ``: it shrinks by ``|1 + Δ/c|^{1/steps}`` a step.
    """
    import numpy as np

    shrinkage = problem.shrinkage(rate)
    slowest = np.unravel_index(np.argmin(np.minimum(shrinkage, 2 - shrinkage)), shrinkage.shape)
    movement = float(problem.modes(ended - start)[slowest])
    distance = float((problem.modes(start) - problem.solution())[slowest])
    change = movement / distance
    logarithm = math.log1p(change) if change > -1 else math.log(max(-1 - change, 1e-300))
    found = steps * math.log(TO_A_HUNDREDTH) / logarithm if logarithm < 0 else math.inf
    return found, abs(movement) / float(np.linalg.norm(start))
