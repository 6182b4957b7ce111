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

    ``lr_bound`` is about this layer alone, as a linear filter: for ½·squared error of its outputs, summed over
    positions and outputs and averaged over examples, gradient descent on its weight diverges above ``2 / (M λ_max)``,
    while the layer's input stays as it is (Chai et al. 2020). For squared error without the ½, the bound is half as
    large. torch's ``mse_loss`` has no ½ and also divides by the M·C values that a layer of C channels returns for an
    example: its bound is ``C / λ_max``, which is half of ``lr_bound`` if M·C = 1. None of this says which rate a whole
    network tolerates.

    Attributes:
        dim: K, the number of rows of R.
        positions: M, the number of patches of one example.
        lambda_min: the smallest eigenvalue; 0 where it is below rounding, or where fewer than K patches were seen.
        lambda_max: the largest eigenvalue.
        condition: ``λ_max / λ_min``; inf where λ_min is 0.
        power: ``tr R / K``, the mean square of a patch entry.
        lr_bound: ``2 / (M λ_max)``, where gradient descent on ½·squared error of this layer alone diverges.
        samples: the number of patches whose mean R is; None if it is unknown.
        note: the reason why a number is missing or degenerate; empty otherwise.
    """

    dim: int
    positions: float
    lambda_min: float
    lambda_max: float
    condition: float
    power: float
    lr_bound: float
    samples: int | None = None
    note: str = ""


def spectrum_of(
    autocorrelation: Tensor,
    positions: float = 1,
    samples: int | None = None,
    input_type: torch.dtype | None = None,
) -> Spectrum:
    """The spectrum of a symmetric autocorrelation matrix R (K, K).

    An eigenvalue within :func:`rounding` of zero is reported as zero. If a value of R is not finite, the numbers are
    NaN and the note says so.

    Args:
        autocorrelation: R, float32 or float64.
        positions: M, the number of patches of one example.
        samples: the number of patches whose mean R is. If it is known to be below K, then λ_min is 0, and the note
            says that it is so for any input.
        input_type: the type in which the patches were rounded; by default R's.

    Raises:
        InputError: R is not a square matrix.
    """
    r = autocorrelation
    if r.ndim != 2 or r.shape[0] != r.shape[1] or not r.numel():
        raise InputError(f"an autocorrelation matrix is square, not of shape {tuple(r.shape)}.")
    if not bool(torch.isfinite(r).all()):
        return missing(len(r), positions, samples, "the input holds values that are not finite")
    values = torch.linalg.eigvalsh(r)
    power = float(r.diagonal().mean())
    floor = rounding(len(r), float(values[-1]), power, r.dtype, input_type or r.dtype)
    return read(len(r), positions, samples, float(values[0]), float(values[-1]), power, floor)


def rounding(dim: int, largest: float, power: float, dtype: torch.dtype, input_type: torch.dtype) -> float:
    """The eigenvalue below which zero and rounding cannot be told apart.

    A symmetric solver is off by up to ``K ε λ_max``, with ε the rounding of R's type. The patches themselves were
    rounded, too, with ε_x that of their type. This adds ``ε_x²/12`` times the mean power to every direction, and up to
    K times as much where the entries' errors are alike, as behind a layer norm, which subtracts one rounded mean from
    all of them. ``√K ε_x² tr R / K`` is between the two; in single precision it is the larger bound.

    Args:
        dim: K.
        largest: λ_max.
        power: ``tr R / K``.
        dtype: R's type.
        input_type: the patches' type.
    """
    solver = dim * torch.finfo(dtype).eps * abs(largest)
    return max(solver, torch.finfo(input_type).eps ** 2 * math.sqrt(dim) * power)


def read(
    dim: int,
    positions: float,
    samples: int | None,
    smallest: float,
    largest: float,
    power: float,
    floor: float,
) -> Spectrum:
    """The spectrum that follows from the two extreme eigenvalues; one up to ``floor`` is zero."""
    lambda_max = largest if largest > 0 else 0.0
    too_few = samples is not None and samples < dim
    lambda_min = 0.0 if too_few or smallest <= floor else smallest
    condition = lambda_max / lambda_min if lambda_min else (math.nan if math.isnan(lambda_min) else math.inf)
    bound = positions * lambda_max
    note = ""
    if not lambda_max:
        note = "the input is zero throughout"
    elif too_few:
        patches = f"{samples} patches span" if samples != 1 else "1 patch spans"
        note = f"{patches} at most {samples} of {dim} dimensions: λ_min is 0 whatever the data; give a larger batch"
    elif lambda_min == 0:
        note = "λ_min is 0 to rounding: in at least one direction, the input has no power"
    return Spectrum(
        dim=dim,
        positions=positions,
        lambda_min=lambda_min,
        lambda_max=lambda_max,
        condition=condition,
        power=power,
        lr_bound=2 / bound if bound else math.inf,
        samples=samples,
        note=note,
    )


def missing(dim: int, positions: float, samples: int | None, why: str) -> Spectrum:
    """A spectrum without numbers; ``why`` is its note."""
    nan = math.nan
    return Spectrum(dim, positions, nan, nan, nan, nan, nan, samples, why)
