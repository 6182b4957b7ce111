"""The highest stable learning rate, by the definition of Bjorck et al. 2018, Appendix J.

A run *survives* a rate when no batch loss exceeds 1,000 (or ten times the first one, where that is larger: an
unnormalized network may start there) or stops being finite, and when the network ends better than chance. The two ways
to fail are told apart: a run that exceeded the limit, and one that ended at chance, which is judged after at least
200 steps.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from normscope.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from normscope.training import Divergence, DivergenceLimit, LossFunction

FEWEST_STEPS = 200
"""A run still at chance before that has not failed yet."""

_LAST = 20
"""Over how many of the last steps a run is compared with chance."""

_BETTER_THAN_CHANCE = 0.98
"""A mean loss below this share of chance's is no longer chance: a constant guess of the classes' shares reaches 1."""


class Outcome(enum.StrEnum):
    """How a run at one rate ended."""

    SURVIVED = "survived"
    EXCEEDED = "exceeded the limit"
    AT_CHANCE = "ended at chance"


def divergence_limit() -> DivergenceLimit:
    """The batch loss above which a run counts as diverged."""
    from normscope.training import DivergenceLimit

    return DivergenceLimit(1e3, times_first=10.0)


def judge(losses: Sequence[float], divergence: Divergence | None, classes: int) -> Outcome:
    """How a run ended.

    Args:
        losses: its batch losses (cross-entropy), step by step.
        divergence: where it exceeded :func:`divergence_limit`.
        classes: the number of classes; a guess has the loss ``ln(classes)``.

    Raises:
        InputError: for a run without divergence of fewer than 200 steps, of which chance cannot be judged.
    """
    if divergence is not None:
        return Outcome.EXCEEDED
    if len(losses) < FEWEST_STEPS:
        raise InputError(
            f"a run of {len(losses)} steps cannot be compared with chance: give it {FEWEST_STEPS} or more."
        )
    mean = math.fsum(losses[-_LAST:]) / _LAST
    is_better = mean < _BETTER_THAN_CHANCE * math.log(classes)
    return Outcome.SURVIVED if is_better else Outcome.AT_CHANCE


def next_rate(outcomes: Mapping[float, Outcome], grid: Iterable[float]) -> float | None:
    """The rate of a grid to try next, downwards from the highest; ``None`` once a rate has survived or all have failed.

    Survival need not be monotone in the rate: the search is for the highest rate that survives, not for a border.
    """
    for rate in sorted(grid, reverse=True):
        if rate not in outcomes:
            return rate
        if outcomes[rate] is Outcome.SURVIVED:
            return None
    return None


def highest(outcomes: Mapping[float, Outcome]) -> float:
    """The highest rate that survived; 0 when none did."""
    return max((rate for rate, outcome in outcomes.items() if outcome is Outcome.SURVIVED), default=0.0)


@dataclasses.dataclass(frozen=True)
class StableRate:
    """The highest stable learning rate of a grid.

    Attributes:
        rate: the highest rate that survived; 0 when none did.
        outcomes: how the run at each rate that was tried ended.
    """

    rate: float
    outcomes: Mapping[float, Outcome]


def highest_stable_rate(
    make_model: Callable[[], nn.Module],
    make_epochs: Callable[[], Iterable[Iterable[tuple[Tensor, Tensor]]]],
    rates: Iterable[float],
    classes: int,
    *,
    steps: int = FEWEST_STEPS,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    loss: LossFunction | None = None,
) -> StableRate:
    """Train a new model at each rate, from the highest down, until one survives.

    A run survives when no batch loss exceeds the limit of :func:`divergence_limit` or stops being finite, and the mean
    loss of its last 20 steps is below 0.98 × ln(classes), which is what a guess has.

    Args:
        make_model: called without arguments for each rate; returns the model at its initialisation, the same each time.
        make_epochs: called without arguments for each rate; returns epochs, each an iterable of batches ``(x, y)``,
            with ``steps`` batches or more in all. For a loader that is ``lambda: itertools.repeat(loader)``.
        rates: the grid.
        classes: number of classes.
        steps: of each run; fewer than 200 cannot be compared with chance.
        momentum, weight_decay: of SGD.
        loss: of the model's output and the labels; by default cross-entropy.

    Returns:
        The highest rate that survived, 0 when none did, and how the run at each rate that was tried ended.

    Raises:
        InputError: for an empty grid, fewer than 200 steps, fewer batches than that, or something that is no model.
    """
    import torch

    from normscope.training import train

    try:
        grid = sorted(set(rates))
    except TypeError:
        raise InputError(f"rates must be a list of numbers, not {rates!r}.") from None
    if not grid or not all(rate > 0 and math.isfinite(rate) for rate in grid):
        raise InputError("rates must be one or more positive numbers.")
    if steps < FEWEST_STEPS:
        raise InputError(
            f"steps must be {FEWEST_STEPS} or more, not {steps}: chance cannot be judged earlier."
        )
    outcomes: dict[float, Outcome] = {}
    while (rate := next_rate(outcomes, grid)) is not None:
        model = make_model()
        if not isinstance(model, torch.nn.Module):
            raise InputError(f"make_model must return a torch.nn.Module, not a {type(model).__name__}.")
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum, weight_decay=weight_decay)
        losses: list[float] = []

        def note(step: int, value: float, losses: list[float] = losses) -> None:
            losses.append(value)

        divergence = train(
            model,
            optimizer,
            make_epochs(),
            loss_function=loss or torch.nn.functional.cross_entropy,
            limit=divergence_limit(),
            max_steps=steps,
            after_step=note,
        )
        outcomes[rate] = judge(losses, divergence, classes)
    return StableRate(highest(outcomes), outcomes)
