"""What an autocorrelation matrix says about learning: extreme eigenvalues, condition, power, learning-rate bound."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from normscope.errors import InputError


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """The extreme eigenvalues of one layer's R (or one group's), and what they mean for gradient descent.

    Attributes:
        dim: K, the number of rows of R.
        positions: M, the number of patches of one example.
        lambda_min: the smallest eigenvalue; 0 where it is below rounding.
        lambda_max: the largest eigenvalue.
        condition: ``λ_max / λ_min``; inf where λ_min is 0.
        power: ``tr R / K``, the mean square of a patch entry.
        lr_bound: ``2 / (M λ_max)``; at a higher learning rate the mode of λ_max grows without end (Chai et al. 2020).
        note: the reason why a number is missing or degenerate; empty otherwise.
    """

    dim: int
    positions: float
    lambda_min: float
    lambda_max: float
    condition: float
    power: float
    lr_bound: float
    note: str = ""


def spectrum_of(autocorrelation: Tensor, positions: float = 1) -> Spectrum:
    """The spectrum of a symmetric autocorrelation matrix R (K, K).

    An eigenvalue within ``K·ε·λ_max`` of zero, with ε the rounding of R's type, is reported as zero: no symmetric
    solver can tell them apart. If a value of R is not finite, the numbers are NaN and the note says so.

    Args:
        autocorrelation: R, float32 or float64.
        positions: M, the number of patches of one example.

    Raises:
        InputError: R is not a square matrix.
    """
    r = autocorrelation
    if r.ndim != 2 or r.shape[0] != r.shape[1] or not r.numel():
        raise InputError(f"an autocorrelation matrix is square, not of shape {tuple(r.shape)}.")
    if not bool(torch.isfinite(r).all()):
        return missing(len(r), positions, "the input holds values that are not finite")
    values = torch.linalg.eigvalsh(r)
    power = float(r.diagonal().mean())
    return read(len(r), positions, float(values[0]), float(values[-1]), power, torch.finfo(r.dtype).eps)


def read(dim: int, positions: float, smallest: float, largest: float, power: float, eps: float) -> Spectrum:
    """The spectrum that follows from the two extreme eigenvalues, which were computed with rounding ``eps``."""
    floor = dim * eps * abs(largest)
    lambda_max = largest if largest > 0 else 0.0
    lambda_min = 0.0 if smallest <= floor else smallest
    condition = lambda_max / lambda_min if lambda_min else (math.nan if math.isnan(lambda_min) else math.inf)
    bound = positions * lambda_max
    return Spectrum(
        dim=dim,
        positions=positions,
        lambda_min=lambda_min,
        lambda_max=lambda_max,
        condition=condition,
        power=power,
        lr_bound=2 / bound if bound else math.inf,
        note="" if lambda_max else "the input is zero throughout",
    )


def missing(dim: int, positions: float, why: str) -> Spectrum:
    """A spectrum without numbers; ``why`` is its note."""
    nan = math.nan
    return Spectrum(dim, positions, nan, nan, nan, nan, nan, why)
