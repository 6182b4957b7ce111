"""The cell of Figs. 1, 15, 16 and 17: a network trained to the end."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from normscope.papers.bjorck2018.cells.configuration import Place
from normscope.papers.bjorck2018.cells.costs import step_seconds
from normscope.protocol import EVERY_DEVICE, Rows, cell

if TYPE_CHECKING:
    import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class ResNetTraining:
    """A training run: the network, the rate it starts with, the seed of weights and batches, the data, the length."""

    norm: str
    rate: float
    seed: int
    data: str
    images: int
    test_images: int
    depth: int
    epochs: int
    place: Place = "after"
    batch: int = 128


def _seconds(run: ResNetTraining) -> float:
    steps = run.images // run.batch + run.test_images / run.batch / 3
    return 1 + run.epochs * steps * step_seconds(run.depth, run.batch)


@cell(name="bjorck2018.train_resnet", version=1, cost=_seconds, devices=lambda run: EVERY_DEVICE)
def train_resnet(config: ResNetTraining) -> pa.Table:
    """Train with the paper's protocol: momentum 0.9, weight decay 5e-4, crops and flips, rate ÷ 10 at ½ and ¾.

    Rows: those of :func:`normscope.training.record`, with the loss and the error on the first ``test_images`` test
    images, and ``train_error``, the share of wrong answers in the epoch's own batches.
    """
    import torch

    from normscope import stability, training
    from normscope.data.augmentation import CropAndFlip
    from normscope.data.batches import seeded_epochs
    from normscope.papers.bjorck2018.cells import recipe

    images = recipe.training_images(config.data, config.images)
    test = recipe.test_images(config.data, config.test_images)
    model, rows = recipe.network(config), Rows()
    optimizer = recipe.sgd(model, config.rate)
    milestones = sorted({config.epochs // 2, config.epochs * 3 // 4} - {0})
    wrong, per_epoch = [], len(images) // config.batch

    def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if model.training:
            wrong.append((logits.argmax(1) != labels).float().mean().detach())
        return torch.nn.functional.cross_entropy(logits, labels)

    training.record(
        rows,
        model,
        optimizer,
        seeded_epochs(images, config.epochs, config.batch, config.seed, CropAndFlip()),
        test,
        objective=training.Objective(
            loss, ("validation_error", "validation_loss"), stability.divergence_limit()
        ),
        schedule=torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones),
    )
    for epoch in range(len(wrong) // per_epoch):
        share = torch.stack(wrong[epoch * per_epoch : (epoch + 1) * per_epoch]).mean().item()
        rows.add("train_error", share, epoch=epoch + 1)
    return rows.table()
