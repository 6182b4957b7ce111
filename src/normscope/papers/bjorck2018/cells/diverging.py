"""The cell that finds out at which step an unnormalized network diverges (Figs. 5 and 6), and how to get there."""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

from normscope.papers.bjorck2018.cells.configuration import Place
from normscope.papers.bjorck2018.cells.costs import step_seconds
from normscope.protocol import Rows, cell

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from torch import Tensor

    from normscope.networks import ResNet
    from normscope.training import Divergence


@dataclasses.dataclass(frozen=True)
class FirstSteps:
    """The first steps of a training run at a constant rate."""

    norm: str
    rate: float
    seed: int
    data: str
    images: int
    depth: int
    steps: int
    place: Place = "after"
    batch: int = 128


@cell(
    name="bjorck2018.first_steps",
    version=1,
    cost=lambda run: 0.5 + run.steps * step_seconds(run.depth, run.batch),
)
def first_steps(config: FirstSteps) -> pa.Table:
    """Train with the paper's protocol for ``steps`` steps, or until the run diverges as the paper defines it.

    Rows: ``batch_loss`` by step, before the step; ``diverged`` at the step whose batch loss exceeded the limit, with
    that loss: the update before it made the network diverge.
    """
    rows = Rows()
    _, _, divergence = train_until(config, config.steps, rows)
    if divergence is not None:
        rows.add("diverged", divergence.loss, step=divergence.step)
    return rows.table()


def train_until(
    config: Any, steps: int, rows: Rows | None = None
) -> tuple[ResNet, Iterator[tuple[Tensor, Tensor]], Divergence | None]:
    """The network after so many steps, the batches that follow, and where the run diverged before.

    Args:
        config: with the fields of :class:`FirstSteps`, ``steps`` aside.
        steps: the steps to take; at 0 the network is at its initialisation.
        rows: receives ``batch_loss`` by step.
    """
    from normscope import stability, training
    from normscope.data.augmentation import CropAndFlip
    from normscope.data.batches import seeded_epochs
    from normscope.papers.bjorck2018.cells import recipe

    images = recipe.training_images(config.data, config.images)
    model = recipe.network(config)
    batches = next(seeded_epochs(images, 1, config.batch, config.seed, CropAndFlip()))
    first = list(itertools.islice(batches, steps))
    if not first:
        return model, batches, None
    divergence = training.train(
        model,
        recipe.sgd(model, config.rate),
        [first],
        limit=stability.divergence_limit(),
        after_step=lambda step, loss: None if rows is None else rows.add("batch_loss", loss, step=step),
    )
    return model, batches, divergence
