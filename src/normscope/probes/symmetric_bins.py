"""Counts of numbers in bins that are symmetric about 0."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import Tensor

Scale = Literal["linear", "symlog"]

DECADES = 3
"""How many powers of ten below the largest gradient a symmetric-log scale becomes linear."""


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Counts of numbers in bins.

    Attributes:
        edges: of the bins, ascending, float64 (bins + 1,).
        counts: of the finite numbers (bins,).
        nonfinite: how many are NaN or infinite.
    """

    edges: Tensor
    counts: Tensor
    nonfinite: int

    @classmethod
    def of(cls, numbers: Tensor, bins: int, scale: Scale = "linear") -> Histogram:
        """The histogram of a tensor of any shape, with the bins of :func:`normscope.probes.gradient_histogram`."""
        values = numbers.detach().double().flatten().cpu()
        finite = values[values.isfinite()]
        most = finite.abs().max() if len(finite) else torch.zeros(())
        edges = _edges(most.item() or 1.0, bins, scale)
        places = torch.bucketize(finite, edges[1:-1], right=True)
        return cls(edges, torch.bincount(places, minlength=bins), len(values) - len(finite))


def _edges(most: float, bins: int, scale: Scale) -> Tensor:
    """The edges of bins from −most to most."""
    steps = torch.linspace(-1, 1, bins + 1, dtype=torch.float64)
    if scale == "symlog":
        linear_until = 10.0**-DECADES
        top = torch.log10(torch.tensor(1 + 1 / linear_until, dtype=torch.float64))
        steps = steps.sign() * linear_until * (10 ** (steps.abs() * top) - 1)
        steps[0], steps[-1] = -1, 1  # not rounded: the largest number is in the last bin
    return steps * most
