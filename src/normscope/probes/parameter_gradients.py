"""The gradients of a batch's loss with respect to tensors, the statistics of one, and why one is missing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from normscope.probes.backward import gradients_at
from normscope.probes.capture import readable, unreadable


def watch_none(*seen: Any) -> None:
    """The callback of :func:`normscope.probes.backward.differentiable_pass` where no layer is watched."""


def gradients_of(loss: Tensor, wanted: Sequence[Tensor]) -> list[Tensor | None]:
    """The gradient with respect to each tensor; ``None`` for a frozen one and for one that the loss does not depend on.

    Raises:
        InputError: the backward pass fails.
    """
    found = iter(gradients_at(loss, [tensor for tensor in wanted if tensor.requires_grad]))
    return [next(found) if tensor.requires_grad else None for tensor in wanted]


def values_of(tensor: Tensor, gradient: Tensor | None) -> tuple[Tensor | None, str]:
    """The gradient in full as float64, and an empty note; or ``None`` and a note that says why it is not measured."""
    if not tensor.requires_grad:
        return None, "frozen: its requires_grad is False"
    if gradient is None:
        return None, "the loss does not depend on it"
    if why := unreadable(gradient):
        return None, f"the gradient is {why}"
    return readable(gradient.detach()).double(), ""


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Statistics of the numbers in a tensor, computed in float64; NaN and infinite numbers flow through.

    Attributes:
        count: how many numbers there are.
        mean: ``E[g]``.
        mean_abs: ``E|g|``.
        std: ``σ = √E[(g − E[g])²]``, divided by the count.
        rms: ``√E[g²]``.
        kurtosis: ``E[(g − E[g])⁴]/σ⁴``, which is 3 for a normal distribution; NaN where all numbers are equal.
        max_abs: the largest ``|g|``.
        nonfinite: how many are NaN or infinite.
    """

    count: int
    mean: float
    mean_abs: float
    std: float
    rms: float
    kurtosis: float
    max_abs: float
    nonfinite: int

    @classmethod
    def of(cls, numbers: Tensor) -> Statistics:
        """The statistics of a tensor of any shape; without numbers they are NaN."""
        values = numbers.detach().double().flatten()
        if not len(values):
            return NO_STATISTICS
        size, mean = values.abs(), values.mean()
        equal = bool((values == values[0]).all())  # A mean that is rounded must not look like a spread.
        centred = torch.zeros_like(values) if equal else values - mean
        std = centred.square().mean().sqrt()
        return cls(
            count=len(values),
            mean=mean.item(),
            mean_abs=size.mean().item(),
            std=std.item(),
            rms=values.square().mean().sqrt().item(),
            kurtosis=(centred / std).pow(4).mean().item(),
            max_abs=size.max().item(),
            nonfinite=int((~values.isfinite()).sum()),
        )


NO_STATISTICS = Statistics(0, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, 0)
"""The statistics of no numbers."""
