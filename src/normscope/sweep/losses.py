"""The losses of a sweep: torch's by name, or a user's function; and the loss of a guess.

This module imports torch, so only a running cell, the check before a sweep, and a sweep of a regression import it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from normscope import data, devices, training
from normscope.data.batches import Split
from normscope.data.facts import Facts
from normscope.errors import InputError, said
from normscope.sweep.parsing import CLASS_LOSSES, classifies, loss_spec
from normscope.targets import imported

_LIMIT = training.DivergenceLimit(times_first=1e3)
"""The loss of a user's own data has their scale."""

_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": functional.cross_entropy,
    "multi_margin": functional.multi_margin_loss,
    "mse": functional.mse_loss,
    "l1": functional.l1_loss,
    "smooth_l1": functional.smooth_l1_loss,
    "huber": functional.huber_loss,
    "bce_with_logits": functional.binary_cross_entropy_with_logits,
}


def objective(loss: str, facts: Facts) -> training.Objective:
    """What a run with this loss minimizes and records.

    Classes with plain cross-entropy are validated by the error, classes with another loss by error and loss, everything
    else by the loss.

    Args:
        loss: the loss's spec.
        facts: of the data.

    Raises:
        InputError, UnknownNameError: a user's loss cannot be imported or made.
    """
    if not classifies(loss, facts):
        return training.Objective(loss_function(loss), ("validation_loss",), limit=_LIMIT)
    if loss == "cross_entropy":
        return training.CLASSIFICATION
    return training.Objective(loss_function(loss), ("validation_error", "validation_loss"), limit=_LIMIT)


def loss_function(loss: str) -> training.LossFunction:
    """The function of outputs and targets that a spec names.

    Outputs whose shape differs from that of the targets by ones only, ``(N, 1)`` and ``(N,)``, are passed in the shape
    of the targets: torch would make a matrix of their differences. A loss of torch's that takes numbers gets
    whole-numbered targets as floats. A user's class, such as ``torch.nn:PoissonNLLLoss``, is made with the spec's
    arguments; a user's function is called with them.

    Raises:
        InputError, UnknownNameError: a user's loss cannot be imported or made.
    """
    spec = loss_spec(loss)
    if spec.is_path:
        return _shaped(_own(loss, imported(spec.name, "loss"), dict(spec.arguments)))
    function = functools.partial(_FUNCTIONS[spec.name], **spec.arguments)
    return function if spec.name in CLASS_LOSSES else _shaped(_of_numbers(function))


def same_but_ones(first: Sequence[int], second: Sequence[int]) -> bool:
    """Whether two shapes differ by dimensions of 1 only."""
    return [side for side in first if side != 1] == [side for side in second if side != 1]


def chance(loss: str, name: str, images: int | None = None) -> float | None:
    """The validation loss of a network that predicts the mean of the training targets, whatever the input.

    For ``bce_with_logits`` and ``cross_entropy`` the prediction is the logit, or logits, of that mean.

    Args:
        loss: the loss's spec.
        name: the name of the data.
        images: the number of training examples, counted from the first; ``None`` for all.

    Returns:
        The loss; ``None`` for a user's loss, of which nobody knows what it takes, and where it is not finite.

    Raises:
        InputError: torch refuses an argument of the loss, or the targets are none that it takes.
    """
    spec = loss_spec(loss)
    if spec.is_path:
        return None
    dataset = data.load(name)
    train, test = Split.of(dataset, "train").labels.double(), Split.of(dataset, "test").labels.double()
    guess = train[:images].mean(0)
    if spec.name == "bce_with_logits":
        if min(train.min(), test.min()) < 0 or max(train.max(), test.max()) > 1:
            raise InputError(
                f"loss {loss!r} takes targets from 0 to 1, and those of {data.unpinned(name)} are not."
            )
        guess = guess.logit()
    elif spec.name == "cross_entropy":
        guess = guess.log()
    try:
        value = float(_FUNCTIONS[spec.name](guess.expand_as(test), test, **spec.arguments))
    except (RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"loss {loss!r} cannot be used: {said(error)}") from error
    return value if math.isfinite(value) else None


def _shaped(function: training.LossFunction) -> training.LossFunction:
    def shaped(output: Tensor, target: Tensor) -> Tensor:
        if isinstance(output, Tensor) and same_but_ones(output.shape, target.shape):
            output = output.reshape(target.shape)
        return function(output, target)

    return shaped


def _of_numbers(function: Callable[..., Tensor]) -> training.LossFunction:
    return lambda output, target: function(output, target.to(output.dtype))


def _own(loss: str, target: Any, arguments: dict[str, Any]) -> training.LossFunction:
    if not callable(target):
        raise InputError(
            f"loss {loss!r} is a {type(target).__name__}: name a function of outputs and targets."
        )
    if not isinstance(target, type):
        return functools.partial(target, **arguments)
    try:
        made: training.LossFunction = target(**arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a user's class may raise anything
        raise InputError(f"loss {loss!r} cannot be made: {said(error)}") from error
    return made.to(devices.current()) if isinstance(made, nn.Module) else made
