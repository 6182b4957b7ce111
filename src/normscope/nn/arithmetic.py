"""The arithmetic that the norms share: shapes, running averages, and the affine map ``γ s (x − μ) + β``."""

from __future__ import annotations

import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)


def is_eager() -> bool:
    """Whether operations run one by one on values, neither compiled by ``torch.compile`` nor under ``torch.func``.

    Only then may a branch depend on a value, or a random number come from a generator of the caller's.
    """
    return not (torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active())


def reduced_dims(x: Tensor) -> tuple[int, ...]:
    """Every dimension of ``x`` of shape (N, C, ...) except the channels'."""
    return (0, *range(2, x.ndim))


def per_channel(vector: Tensor, x: Tensor) -> Tensor:
    """``vector`` of C values, shaped to broadcast against ``x`` of shape (N, C, ...)."""
    return vector.view(-1, *(1,) * (x.ndim - 2))


def at_least_single(x: Tensor) -> Tensor:
    """``x`` in single precision if it is in half precision, else ``x`` itself."""
    return x.float() if x.dtype in HALF else x


def average_in(running: Tensor, new: Tensor, momentum: float) -> None:
    """Move a running statistic towards the newest value, in place; vmap does not support ``lerp_``."""
    running.mul_(1.0 - momentum).add_(new.detach(), alpha=momentum)


def batch_norm(
    x: Tensor,
    mean: Tensor | None,
    var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """The framework's batch norm; unlike its functional form, it allows ε = 0."""
    return torch.batch_norm(x, weight, bias, mean, var, training, momentum, eps, torch.backends.cudnn.enabled)


def product(weight: Tensor | None, scale: Tensor) -> Tensor:
    """``γ s``; without a gain, γ is 1."""
    return scale if weight is None else weight * scale


def affine(x: Tensor, shift: Tensor, gain: Tensor, bias: Tensor | None) -> Tensor:
    """``gain (x − shift) + bias`` by the framework's inference kernel."""
    return torch.native_batch_norm(x, gain, bias, shift, torch.ones_like(shift), False, 0.0, 0.0)[0]


def composite_affine(
    x: Tensor, shift: Tensor, scale: Tensor, weight: Tensor | None, bias: Tensor | None
) -> Tensor:
    """``weight · scale (x − shift) + bias`` by ordinary operations, on any device and under any transform."""
    return with_gain_and_bias((x - per_channel(shift, x)) * per_channel(scale, x), weight, bias)


def with_gain_and_bias(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """``γ x + β`` by ordinary operations; without a gain, γ is 1, and without a bias, β is 0."""
    y = x if weight is None else x * per_channel(weight, x)
    return y if bias is None else y + per_channel(bias, x)
