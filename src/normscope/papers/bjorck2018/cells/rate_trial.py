"""The cell of Tables 2 and 3: does a network survive a learning rate?"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from normscope.papers.bjorck2018.cells.configuration import Place
from normscope.papers.bjorck2018.cells.costs import step_seconds
from normscope.protocol import EVERY_DEVICE, Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class RateTrial:
    """A network trained at one constant rate for some steps, after ``warm_steps`` at ``warm_rate``."""

    norm: str
    rate: float
    seed: int
    data: str
    images: int
    depth: int
    steps: int
    place: Place = "after"
    batch: int = 128
    warm_rate: float = 1e-4
    warm_steps: int = 0


@cell(
    name="bjorck2018.try_rate",
    version=1,
    cost=lambda run: 0.5 + (run.steps + run.warm_steps) * step_seconds(run.depth, run.batch),
    devices=lambda run: EVERY_DEVICE,
)
def try_rate(config: RateTrial) -> pa.Table:
    """Train at a constant rate, and judge how the run ended as :mod:`normscope.stability` does.

    Rows: ``batch_loss`` by step, before the step; ``diverged`` at the step whose loss exceeded the limit, with that
    loss; ``survived``, ``exceeded`` and ``at_chance``, of which one is 1 and the others are 0. Steps of a warm start
    are counted, too.
    """
    import itertools

    from normscope import stability, training
    from normscope.data.augmentation import CropAndFlip
    from normscope.data.batches import seeded_epochs
    from normscope.papers.bjorck2018.cells import recipe
    from normscope.papers.shared.images import facts_of

    images = recipe.training_images(config.data, config.images)
    model, rows, losses = recipe.network(config), Rows(), []
    optimizer = recipe.sgd(model, config.warm_rate if config.warm_steps else config.rate)
    last = config.warm_steps + config.steps
    epochs = (
        seeded_epochs(images, 1, config.batch, config.seed + 1_000 * epoch, CropAndFlip())
        for epoch in itertools.count()
    )

    def note(step: int, loss: float) -> None:
        losses.append(loss)
        rows.add("batch_loss", loss, step=step)
        if step == config.warm_steps:
            for group in optimizer.param_groups:
                group["lr"] = config.rate

    divergence = training.train(
        model,
        optimizer,
        itertools.chain.from_iterable(epochs),
        limit=stability.divergence_limit(),
        max_steps=last,
        after_step=note,
    )
    if divergence is not None:
        rows.add("diverged", divergence.loss, step=divergence.step)
    outcome = stability.judge(losses, divergence, facts_of(config.data).outputs)
    for measure, one in (
        ("survived", stability.Outcome.SURVIVED),
        ("exceeded", stability.Outcome.EXCEEDED),
        ("at_chance", stability.Outcome.AT_CHANCE),
    ):
        rows.add(measure, outcome is one)
    return rows.table()
