"""The one training loop.

It takes what differs between experiments from outside (the optimiser with its groups and rates, the order of the
batches, what to do after a step or an epoch) and does what they share: step, watch for divergence, count.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from normscope.data.batches import Split
from normscope.errors import InputError
from normscope.generators import seeded as seeded
from normscope.nn import module_kinds
from normscope.protocol import Rows

VALIDATION_BATCH = 500


LossFunction = Callable[[Tensor, Tensor], Tensor]


@dataclasses.dataclass(frozen=True)
class DivergenceLimit:
    """The batch loss above which a run counts as diverged; one that is not finite always does.

    Attributes:
        least: the limit, whatever the first loss.
        times_first: the limit is this many times the first batch's loss where that is larger: for losses whose scale
            is that of the data, and for networks whose loss is large at initialisation.
    """

    least: float = 1e3
    times_first: float = 0.0

    def of(self, first: float) -> float:
        """The limit of a run whose first batch has the loss ``first``."""
        return max(self.least, self.times_first * first)


NO_LIMIT = DivergenceLimit(math.inf)
"""Only a loss that is not finite counts as diverged."""


@dataclasses.dataclass(frozen=True)
class Objective:
    """What a run minimizes, and what it is validated by.

    Attributes:
        loss: a function of the model's output and the targets; a scalar, the mean over the batch.
        measures: what is recorded after every epoch: ``"validation_error"``, the share of wrong answers, and
            ``"validation_loss"``, the mean of ``loss`` over the validation examples.
        limit: where a run counts as diverged.
    """

    loss: LossFunction = nn.functional.cross_entropy
    measures: tuple[str, ...] = ("validation_error",)
    limit: DivergenceLimit = DivergenceLimit()


CLASSIFICATION = Objective()
"""Cross-entropy, validated by the share of wrong answers."""


@dataclasses.dataclass(frozen=True)
class Divergence:
    """Where a run ended early.

    Attributes:
        step: the number of the step, from 1, whose batch loss was too large or not finite; it was not taken.
        loss: that loss.
    """

    step: int
    loss: float


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    epochs: Iterable[Iterable[tuple[Tensor, Tensor]]],
    *,
    loss_function: LossFunction = nn.functional.cross_entropy,
    limit: DivergenceLimit = DivergenceLimit(),
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
    max_steps: int | None = None,
    after_step: Callable[[int, float], None] | None = None,
    after_epoch: Callable[[int, float], None] | None = None,
) -> Divergence | None:
    """Train ``model`` in training mode, batch by batch.

    Denormal floats are flushed to zero meanwhile: they cost a hundred times a normal one.

    Args:
        model: changed in place.
        optimizer: holds the parameters to train, in groups with their rates.
        epochs: each an iterable of batches ``(x, y)``.
        loss_function: of the model's output and ``y``, a scalar.
        limit: a batch loss above it, or not finite, ends the run before that step is taken.
        schedule: changes the rates after every epoch.
        max_steps: end after so many steps.
        after_step: called with the number of the step, from 1, and its loss (taken before the step).
        after_epoch: called with the number of the epoch, from 1, and its mean loss; the model's mode is restored after.

    Returns:
        Where the run diverged, or ``None``.
    """
    steps, most = itertools.count(1), limit.least
    with flushed_denormals():
        for epoch, batches in enumerate(epochs, start=1):
            model.train()
            losses = []
            for x, y in batches:
                step = next(steps)
                optimizer.zero_grad(set_to_none=True)
                loss = loss_function(model(x), y)
                value = loss.item()
                if step == 1:
                    most = limit.of(value)
                if not math.isfinite(value) or value > most:
                    return Divergence(step, value)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                losses.append(value)
                if after_step is not None:
                    after_step(step, value)
                if step == max_steps:
                    return None
            if not losses:
                raise InputError("the data holds fewer examples than one batch.")
            if schedule is not None:
                schedule.step()
            if after_epoch is not None:
                after_epoch(epoch, math.fsum(losses) / len(losses))
    return None


def record(
    rows: Rows,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    epochs: Iterable[Iterable[tuple[Tensor, Tensor]]],
    validation: Split | None = None,
    *,
    objective: Objective = CLASSIFICATION,
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
    max_steps: int | None = None,
    after_step: Callable[[int, float], None] | None = None,
) -> Divergence | None:
    """Train ``model`` as :func:`train` does and add the rows that every training run of an experiment has.

    Rows: ``train_loss``, the mean over the epoch's batches, and the objective's measures, by default
    ``validation_error``, the share of images put into a wrong class in evaluation mode, by epoch; ``diverged`` at the
    step whose batch loss exceeded the objective's limit or was not finite, with that loss.

    Args:
        rows: where the rows go.
        model, optimizer, epochs, schedule, max_steps, after_step: as for :func:`train`.
        validation: the examples to validate on after every epoch; ``None`` for a run of which only steps are recorded.
        objective: what is minimized and recorded.

    Returns:
        Where the run diverged, or ``None``.
    """

    def after_epoch(epoch: int, loss: float) -> None:
        assert validation is not None
        rows.add("train_loss", loss, epoch=epoch)
        for measure in objective.measures:
            batches = validation.in_order(VALIDATION_BATCH)
            is_error = measure == "validation_error"
            value = error_rate(model, batches) if is_error else mean_loss(model, batches, objective.loss)
            rows.add(measure, value, epoch=epoch)

    divergence = train(
        model,
        optimizer,
        epochs,
        loss_function=objective.loss,
        limit=objective.limit,
        schedule=schedule,
        max_steps=max_steps,
        after_step=after_step,
        after_epoch=None if validation is None else after_epoch,
    )
    if divergence is not None:
        rows.add("diverged", divergence.loss, step=divergence.step)
    return divergence


def convolution_groups(
    model: nn.Module, rate: float, other_rate: float, left_out: Iterable[nn.Parameter] = ()
) -> list[dict[str, Any]]:
    """Parameter groups for an optimiser: ``rate`` for the convolutions' weights, ``other_rate`` for everything else.

    Args:
        model: the network; parameters that need no gradient are left out.
        rate: the swept learning rate.
        other_rate: the rate of norm parameters, biases and linear layers.
        left_out: parameters that are not trained.
    """
    skipped = {id(parameter) for parameter in left_out}
    trained = [one for one in model.parameters() if one.requires_grad and id(one) not in skipped]
    weights = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, module_kinds.Convolution | module_kinds.Transposed)
    }
    swept = [parameter for parameter in trained if id(parameter) in weights]
    rest = [parameter for parameter in trained if id(parameter) not in weights]
    return [{"params": swept, "lr": rate}, {"params": rest, "lr": other_rate}]


def error_rate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """The share of labels that ``model`` in evaluation mode gets wrong; its mode is restored.

    Logits are ``(N, classes)``, or ``(N, classes, ...)`` for several labels an example. A logit that is not a number is
    a wrong answer.
    """
    wrong = total = 0
    for logits, y in _evaluated(model, batches):
        right = (logits.argmax(1) == y) & logits.isfinite().all(1)
        wrong += int((~right).sum())
        total += y.numel()
    return wrong / total


def mean_loss(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], loss_function: LossFunction
) -> float:
    """The mean loss over examples of ``model`` in evaluation mode; its mode is restored."""
    sums, total = [], 0
    for output, y in _evaluated(model, batches):
        sums.append(loss_function(output, y).item() * len(y))
        total += len(y)
    return sum(sums) / total


@torch.no_grad()
def _evaluated(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """The outputs of ``model`` in evaluation mode, with the targets."""
    was_training = model.training
    model.eval()
    for x, y in batches:
        yield model(x), y
    model.train(was_training)


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Have this thread's CPU treat denormal floats as zero, and put back what was before."""
    before = (torch.tensor(1e-40) * 1.0).item() == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
