"""Normalization by a p-norm in place of the standard deviation (Morwani 2020).

With ``d = x − μ`` (centred) or ``d = x``, ``m = E|d|^p``, ``s = (m + ε)^(−1/p)`` and n values a channel,

    y = γ s (x − μ) + β
    ∂x = γ s ∂y + (q ∂m / n) h + c,   ∂m = −(s / (q (m + ε))) γ Σ ∂y (x − μ),   h = |d|^(p−1) sign d,   q = p
    c = −γ s E[∂y] − (q ∂m / n) E[h] (the last term only when centred)

For p = ∞, ``m = max |d|``, ``s = 1 / (m + ε)``, q = 1, and h is n sign d shared out among the values that
attain it.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from torch import Tensor

from normscope.nn.channel import (
    HALF,
    ChannelNorm,
    at_least_single,
    average_in,
    batch_norm,
    check_number,
    per_channel,
    reduced_dims,
    side_by_side,
)
from normscope.nn.standardize import Rule, affine, standardize, standardize_by


class LpNorm(ChannelNorm):
    """Normalization by the p-th root of the p-th moment: ``y = γ (x − μ) / (E|d|^p + ε)^(1/p) + β``.

    ``d`` is ``x − μ`` when ``centered``, else ``x``: the moment about the mean or about zero. The numerator
    is shifted by the mean either way (Morwani 2020's centred and uncentred p-norms). For p = ∞ the moment is
    ``max |d|`` and its root itself. ``LpNorm(C)`` is ``BatchNorm(C)``.

    ``running_var`` keeps the p-th moment, for p = ∞ the maximum; for p = 2 the variance with Bessel's
    correction, as BatchNorm keeps it, to which the uncentred layer adds the squared running mean. The p-th
    power of large values overflows for large p.

    Args:
        num_features: number of channels C.
        p: the norm's exponent, in [1, ∞].
        centered: take the moment about the mean.
        eps: ε, added to the p-th moment, at least 0.
        momentum: weight of the newest batch in the running statistics; None averages all batches equally.
        gain: learn γ.
        bias: learn β.
        track_running_stats: keep running statistics and use them at inference.
        device: where parameters and buffers live.
        dtype: their type.

    Shapes: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) in, the same out.

    Raises:
        InputError: for a bad argument or input, and for training on one value a channel.
    """

    def __init__(
        self,
        num_features: int,
        p: float = 2.0,
        centered: bool = True,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        gain: bool = True,
        bias: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, gain, bias, track_running_stats, device, dtype)
        check_number("p", p, 1.0, infinite=True)
        self.p = float(p)
        self.centered = centered

    def with_batch_moments(self, x: Tensor) -> Tensor:
        """The output from the batch's own moments."""
        kept_mean, kept_moment, momentum = self._count_batch()
        if self.p == 2.0 and self.centered:
            return batch_norm(x, kept_mean, kept_moment, self.weight, self.bias, True, momentum, self.eps)
        if self.p == 2.0:
            rule = Rule(about_zero=True)
            return standardize(x, self.weight, self.bias, kept_mean, kept_moment, momentum, self.eps, rule)
        fused = x.device.type == "cpu" and not torch.compiler.is_compiling()
        with torch.set_grad_enabled(torch.is_grad_enabled() and not fused):
            mean, moment = _moments(at_least_single(x), self.p, self.centered)
        if kept_mean is not None and kept_moment is not None:
            average_in(kept_mean, mean, momentum)
            average_in(kept_moment, moment, momentum)
        if fused:
            output: Tensor = _Lp.apply(  # type: ignore[no-untyped-call]
                x, self.weight, self.bias, mean, moment, self.eps, self.p, self.centered
            )
            return output
        y = (at_least_single(x) - per_channel(mean, x)) * per_channel(_scale(moment, self.eps, self.p), x)
        y = y if self.weight is None else y * per_channel(self.weight, x)
        return (y if self.bias is None else y + per_channel(self.bias, x)).to(x.dtype)

    def with_running_moments(self, x: Tensor) -> Tensor:
        """The output at inference."""
        mean, moment = self._kept_moments()
        if self.p == 2.0 and self.centered:
            return batch_norm(x, mean, moment, self.weight, self.bias, False, 0.0, self.eps)
        if self.p == 2.0:
            return standardize_by(x, self.weight, self.bias, mean, moment, self.eps, Rule(about_zero=True))
        scale = _scale(moment, self.eps, self.p)
        gain = scale if self.weight is None else self.weight * scale
        return batch_norm(x, mean, torch.ones_like(mean), gain, self.bias, False, 0.0, 0.0)

    def extra_repr(self) -> str:
        """The arguments that describe the layer."""
        return f"{super().extra_repr()}, p={self.p}, centered={self.centered}"


class _Lp(torch.autograd.Function):
    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        moment: Tensor,
        eps: float,
        p: float,
        centered: bool,
    ) -> Tensor:
        scale = _scale(moment, eps, p)
        return affine(x, mean, scale if weight is None else weight * scale, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, mean, moment, *ctx.options = inputs
        ctx.save_for_backward(x, weight, mean, moment)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, moment = ctx.saved_tensors
        dtype = x.dtype
        differentiable = torch.is_grad_enabled()
        if differentiable or dtype in HALF:
            x, grad = at_least_single(x), at_least_single(grad)
        if differentiable:
            mean, moment = _moments(x, *ctx.options[1:])
        grad_x, grad_weight, grad_bias = _backward(grad, x, weight, mean, moment, *ctx.options)
        needs_x, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        return (
            grad_x.to(dtype) if needs_x else None,
            grad_weight if needs_weight else None,
            grad_bias if needs_bias else None,
            *(None,) * 5,
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
        x, flat = side_by_side(info.batch_size, in_dims, args[:5])
        y: Tensor = _Lp.apply(x, *flat, *args[5:])  # type: ignore[no-untyped-call]
        return y.view(y.shape[0], info.batch_size, -1, *y.shape[2:]), 1


# As in standardize.py: torch binds the arguments of every call by the signature.
_Lp.forward.__signature__ = inspect.signature(_Lp.forward)  # type: ignore[attr-defined]


def _moments(x: Tensor, p: float, centered: bool) -> tuple[Tensor, Tensor]:
    dims = reduced_dims(x)
    mean = x.mean(dims)
    if math.isinf(p) and not torch.is_grad_enabled():
        shift = mean if centered else torch.zeros_like(mean)
        return mean, torch.maximum(x.amax(dims) - shift, shift - x.amin(dims))
    size = (x - per_channel(mean, x) if centered else x).abs()
    if math.isinf(p):
        return mean, size.amax(dims)
    return mean, (size if p == 1.0 else size.pow(p)).mean(dims)


def _scale(moment: Tensor, eps: float, p: float) -> Tensor:
    return (moment + eps).pow(-1.0 if math.isinf(p) else -1.0 / p)


def _backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor | None,
    mean: Tensor,
    moment: Tensor,
    eps: float,
    p: float,
    centered: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    dims, n = reduced_dims(x), x.numel() // x.shape[1]
    scale = _scale(moment, eps, p)
    gain = scale if weight is None else weight * scale
    shifted = x - per_channel(mean, x)
    g0, g1 = grad.sum(dims), (grad * shifted).sum(dims)
    h = _direction(shifted if centered else x, moment, p)
    # q ∂m / n: the q of ∂m cancels.
    slope = gain * g1 / (moment + eps) / -n
    constant = gain * g0 / -n
    if centered:
        constant = constant - slope * h.mean(dims)
    linear = torch.addcmul(per_channel(constant, x), h, per_channel(slope, x))
    return torch.addcmul(linear, grad, per_channel(gain, x)), scale * g1, g0


def _direction(d: Tensor, moment: Tensor, p: float) -> Tensor:
    """The h of this file's head."""
    if p == 1.0:
        return d.sign()
    if p == 3.0:
        return d * d.abs()
    if not math.isinf(p):
        return d.sign() * d.abs().pow(p - 1.0)
    n = d.numel() // d.shape[1]
    extreme = (d.abs() == per_channel(moment, d)).to(d.dtype)
    return d.sign() * extreme * per_channel(n / extreme.sum(reduced_dims(d)), d)
