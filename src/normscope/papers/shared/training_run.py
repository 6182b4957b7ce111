"""A training run of an experiment: images of a data set, a network, an optimiser, and the rows of what happens.

This module imports torch: only a running cell imports it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from normscope import data, devices, training
from normscope.data.batches import Split, seeded_epochs
from normscope.papers.shared.images import facts_of
from normscope.papers.shared.tables import PAPERS_CLASSES
from normscope.protocol import Rows

Network = TypeVar("Network", bound=nn.Module)


class TrainingRun(Generic[Network]):
    """A network on the first training images of a data set, which are on the device of the cell.

    Args:
        settings: the cell's configuration, with the fields ``data``, ``images``, ``batch`` and ``seed``; the seed
            decides the order of the batches.
        model: the network on that device, its weights already drawn from the seed.
        optimizer: holds the parameters to train.
        size: height and width to which images are zero-padded before standardisation.

    Attributes:
        model, optimizer: as given.
        images: the training images.
        classes: the number of classes of the data set.
    """

    def __init__(
        self, settings: Any, model: Network, optimizer: torch.optim.Optimizer, size: int | None = None
    ) -> None:
        dataset, device = data.load(settings.data), devices.current()
        self.model, self.optimizer = model, optimizer
        self.images = Split.of(dataset, "train", size).first(settings.images).to(device)
        self._test_images = Split.of(dataset, "test", size).to(device)
        self.classes = facts_of(settings.data).outputs
        self._settings = settings

    def fixed_batch(self) -> Tensor:
        """The first batch of training images in the file's order, on which instruments look."""
        return self.images.batch(torch.arange(self._settings.batch))[0]

    def record(
        self,
        rows: Rows,
        epochs: int,
        *,
        validate: bool = False,
        max_steps: int | None = None,
        after_step: Callable[[int, float], None] | None = None,
    ) -> training.Divergence | None:
        """Train and add rows, as :func:`normscope.training.record` does; validate on every test image or not at all.

        On data of other than ten classes there is a row ``classes``, their number, by which an error is read.
        """
        if self.classes != PAPERS_CLASSES:
            rows.add("classes", self.classes)
        batches = seeded_epochs(self.images, epochs, self._settings.batch, self._settings.seed)
        validation = self._test_images if validate else None
        return training.record(
            rows, self.model, self.optimizer, batches, validation, max_steps=max_steps, after_step=after_step
        )

    def upcoming_batches(self, step: int, count: int) -> list[tuple[Tensor, Tensor]]:
        """The ``count`` batches that come after ``step`` steps; training goes on beyond its last epoch if need be."""
        per_epoch = len(self.images) // self._settings.batch
        skipped, first = divmod(step, per_epoch)
        epochs = skipped + math.ceil((first + count) / per_epoch)
        seeded = seeded_epochs(self.images, epochs, self._settings.batch, self._settings.seed)
        following = itertools.islice(seeded, skipped, None)
        return list(itertools.islice(itertools.chain.from_iterable(following), first, first + count))

    def test_labels(self) -> Tensor:
        """The labels of the test images, in the file's order."""
        return self._test_images.labels

    @torch.no_grad()
    def test_logits(self, model: nn.Module) -> Tensor:
        """The logits of every test image in evaluation mode; the model is left in that mode."""
        model.eval()
        return torch.cat([model(x) for x, _ in self._test_images.in_order(training.VALIDATION_BATCH)])


def drawn_images(name: str, count: int, size: int, generator: torch.Generator) -> Tensor:
    """Standardised training images, drawn without replacement: (count, C, size, size), on the device of the cell."""
    split = Split.of(data.load(name), "train", size)
    return split.batch(torch.randperm(len(split), generator=generator)[:count])[0].to(devices.current())
