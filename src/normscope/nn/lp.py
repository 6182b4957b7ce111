"""Normalization by a p-norm instead of the standard deviation (Morwani 2020).

With ``d = x − μ`` (centered) or ``d = x``, ``m = E|d|^p``, ``s = (m + ε)^(−1/p)`` and n values per channel,

    y = γ s (x − μ) + β
    ∂x = γ s ∂y + (q ∂m / n) h + c,   ∂m = −(s / (q (m + ε))) γ Σ ∂y (x − μ),   h = |d|^(p−1) sign d,   q = p
    c = −γ s E[∂y] − (q ∂m / n) E[h] (the last term only if centered)

For p = ∞, ``m = max |d|``, ``s = 1 / (m + ε)``, q = 1, and h is n sign d, shared among the values that attain the
maximum.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from normscope.nn.arguments import check_number
from normscope.nn.arithmetic import (
    affine,
    at_least_single,
    average_in,
    composite_affine,
    is_eager,
    per_channel,
    product,
    reduced_dims,
)
from normscope.nn.channel_norm import ChannelNorm
from normscope.nn.standardization import Rule, standardize, standardize_by


class LpNorm(ChannelNorm):
    """Normalization by the p-th root of the p-th moment: ``y = γ (x − μ) / (E|d|^p + ε)^(1/p) + β``.

    ``d`` is ``x − μ`` if ``centered``, else ``x``: the moment about the mean or about zero. The mean is subtracted in
    the numerator either way (Morwani 2020's centered and uncentered p-norms). For p = ∞ the moment and its root are
    ``max |d|``. ``LpNorm(C)`` is ``BatchNorm(C)``.

    ``running_var`` keeps the p-th moment, or the maximum for p = ∞. For p = 2 it keeps the variance with Bessel's
    correction, as BatchNorm does; the uncentered layer adds the squared running mean to it. For large p, the p-th
    power of large values overflows.

    Args:
        num_features: number of channels C.
        p: exponent of the norm, in [1, ∞].
        centered: take the moment about the mean.
        eps: ε, added to the p-th moment, at least 0.
        momentum, gain, bias, track_running_stats, device, dtype: as in :class:`~normscope.nn.BatchNorm`.

    Shapes: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) in, the same out.

    Raises:
        InputError: for a bad argument or input, and for training on one value per channel.
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
        running_mean, running_moment, momentum = self._count_batch()
        if self.p == 2.0:
            rule = Rule(about_zero=not self.centered)
            return standardize(
                x, self.weight, self.bias, running_mean, running_moment, momentum, self.eps, rule
            )
        fused = x.device.type == "cpu" and is_eager()
        with torch.set_grad_enabled(torch.is_grad_enabled() and not fused):
            mean, moment = _moments(at_least_single(x), self.p, self.centered)
        if running_mean is not None and running_moment is not None:
            average_in(running_mean, mean, momentum)
            average_in(running_moment, moment, momentum)
        if fused:
            output: Tensor = _Lp.apply(  # type: ignore[no-untyped-call]
                x, self.weight, self.bias, mean, moment, self.eps, self.p, self.centered
            )
            return output
        scale = _scale(moment, self.eps, self.p)
        return composite_affine(at_least_single(x), mean, scale, self.weight, self.bias).to(x.dtype)

    def with_running_moments(self, x: Tensor) -> Tensor:
        """The output at inference, from the running statistics."""
        mean, moment = self._running_moments()
        if self.p == 2.0:
            rule = Rule(about_zero=not self.centered)
            return standardize_by(x, self.weight, self.bias, mean, moment, self.eps, rule)
        return affine(x, mean, product(self.weight, _scale(moment, self.eps, self.p)), self.bias)

    def extra_repr(self) -> str:
        """The arguments that describe the layer."""
        return f"{super().extra_repr()}, p={self.p}, centered={self.centered}"


class _Lp(torch.autograd.Function):
    """The formulas at the head of this file; only the input and vectors are saved for the backward pass."""

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
        return affine(x, mean, product(weight, _scale(moment, eps, p)), bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, mean, moment, *ctx.options = inputs
        ctx.save_for_backward(x, weight, mean, moment)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, moment = ctx.saved_tensors
        dtype = x.dtype
        x, grad = at_least_single(x), at_least_single(grad)
        if torch.is_grad_enabled():  # a second derivative is to come, so the moments must depend on x
            mean, moment = _moments(x, *ctx.options[1:])
        grad_x, *others = _backward(grad, x, weight, mean, moment, *ctx.options)
        grads = zip((grad_x.to(dtype), *others), ctx.needs_input_grad, strict=False)
        return *(g if needs else None for g, needs in grads), *(None,) * 5


def _moments(x: Tensor, p: float, centered: bool) -> tuple[Tensor, Tensor]:
    """The mean and the p-th moment of each channel; for p = ∞ the maximum."""
    dims = reduced_dims(x)
    mean = x.mean(dims)
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
    """The gradients of x, γ and β."""
    dims, n = reduced_dims(x), x.numel() // x.shape[1]
    scale = _scale(moment, eps, p)
    gain = product(weight, scale)
    shifted = x - per_channel(mean, x)
    g0, g1 = grad.sum(dims), (grad * shifted).sum(dims)
    h = _direction(shifted if centered else x, moment, p)
    slope = gain * g1 / (moment + eps) / -n  # q ∂m / n: the q of ∂m cancels
    constant = gain * g0 / -n
    if centered:
        constant = constant - slope * h.mean(dims)
    linear = torch.addcmul(per_channel(constant, x), h, per_channel(slope, x))
    return torch.addcmul(linear, grad, per_channel(gain, x)), scale * g1, g0


def _direction(d: Tensor, moment: Tensor, p: float) -> Tensor:
    """h, up to a factor the direction in which d increases its moment."""
    if p == 1.0:
        return d.sign()
    if not math.isinf(p):
        return d.sign() * d.abs().pow(p - 1.0)
    n = d.numel() // d.shape[1]
    extreme = (d.abs() == per_channel(moment, d)).to(d.dtype)
    return d.sign() * extreme * per_channel(n / extreme.sum(reduced_dims(d)), d)
