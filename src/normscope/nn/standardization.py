"""Standardization by the first two moments, channel by channel; its parts can be switched off and channels gated.

For a channel with batch mean μ and biased variance v, over n values:

    y = γ s (x − κ μ) + β,   s = (v + τ μ² + ε)^(−1/2) if ρ = 1, else 1

κ (center) and ρ (rescale) are 0 or 1 per channel; τ is 1 if the moment is taken about zero. κ = ρ = 1, τ = 0 is
BatchNorm. A gate chooses κ and ρ by the channel's power v + μ² and is a constant to differentiation. With
``G₀ = Σ ∂y`` and ``G₁ = Σ ∂y (x − κμ)``,

    ∂β = G₀,   ∂γ = s G₁,   ∂x = a ∂y + b (x − μ) + c,
    a = γ s,   b = −ρ γ s³ G₁ / n,   c = τ μ b − κ a G₀ / n

For BatchNorm this is Ioffe and Szegedy's backward pass. On the CPU the two sums and the two affine maps are the
framework's batch-norm kernels, called with these coefficients. On other devices, under ``torch.compile`` or
``torch.func``, and for higher derivatives the same formulas run as ordinary operations.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from normscope.nn.arithmetic import (
    HALF,
    affine,
    at_least_single,
    average_in,
    batch_norm,
    composite_affine,
    is_eager,
    per_channel,
    product,
    reduced_dims,
)
from normscope.nn.channel_norm import ChannelNorm


@dataclasses.dataclass(frozen=True)
class Rule:
    """Which parts of the standardization apply, and to which channels.

    Attributes:
        center: subtract the mean.
        rescale: divide by the root of the moment.
        about_zero: the moment is E[x²] instead of the variance.
        below: normalize only the channels with less power.
        above: normalize only the channels with more power.
    """

    center: bool = True
    rescale: bool = True
    about_zero: bool = False
    below: float | None = None
    above: float | None = None

    @property
    def is_gated(self) -> bool:
        """Whether a channel's power decides if it is normalized."""
        return self.below is not None or self.above is not None

    @property
    def is_batch_norm(self) -> bool:
        """Whether every channel is treated as BatchNorm treats it."""
        return self.center and self.rescale and not self.about_zero and not self.is_gated

    def passed(self, power: Tensor, surplus: float = 0.0) -> Tensor | None:
        """Mask of the channels that the gate leaves unnormalized; None without a gate.

        A channel whose power is NaN is normalized, so that its NaN shows.

        Args:
            power: of each channel, plus ``surplus``.
            surplus: what was added to the power.
        """
        if self.below is not None:
            # No power is below 0, and rounding must not make it so: everything passes except NaN.
            return power >= self.below + surplus if self.below > 0 else power == power
        if self.above is not None:
            return power <= self.above + surplus
        return None

    def shift(self, mean: Tensor, passed: Tensor | None) -> Tensor:
        """``κ μ``."""
        return _except(passed, mean, 0.0) if self.center else torch.zeros_like(mean)

    def scale(self, mean: Tensor, var: Tensor, passed: Tensor | None, eps: float) -> Tensor:
        """The scale s."""
        if not self.rescale:
            return torch.ones_like(var)
        moment = var + mean.square() if self.about_zero else var
        # The kernel uses rsqrt too, so that a normalized channel agrees with BatchNorm to the bit.
        return _except(passed, moment + eps, 1.0).rsqrt()


class StandardizingNorm(ChannelNorm):
    """A norm by the first two moments, as its ``rule`` says; a subclass sets the rule."""

    rule: Rule

    def with_batch_moments(self, x: Tensor) -> Tensor:
        """The output from the batch's own moments, which also set the gates."""
        return standardize(x, self.weight, self.bias, *self._count_batch(), self.eps, self.rule)

    def with_running_moments(self, x: Tensor) -> Tensor:
        """The output at inference, from the running statistics, which also set the gates."""
        return standardize_by(x, self.weight, self.bias, *self._running_moments(), self.eps, self.rule)


def standardize(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    momentum: float,
    eps: float,
    rule: Rule,
) -> Tensor:
    """Standardize ``x`` of shape (N, C, ...) by its own moments, and update the running ones in place."""
    if rule.is_batch_norm:
        return batch_norm(x, running_mean, running_var, weight, bias, True, momentum, eps)
    if x.device.type != "cpu" or not is_eager():
        return _composite(x, weight, bias, running_mean, running_var, momentum, eps, rule)
    if rule.is_gated:
        y, mean, invstd = torch.native_batch_norm(
            x, weight, bias, running_mean, running_var, True, momentum, eps
        )
        square = invstd.pow(-2)  # σ² + ε
        if eps == 0:  # then the kernel writes 0 for the 1/σ of a constant channel
            square = square.masked_fill(invstd == 0, 0.0)
        power = torch.addcmul(square, mean, mean)  # P + ε
        passed = rule.passed(power, surplus=eps)
        if passed is not None and not bool(passed.any()):
            return y
    else:
        mean, var = torch.batch_norm_update_stats(x.detach(), running_mean, running_var, momentum)
        square, passed = var + eps, None
        power, invstd = torch.addcmul(square, mean, mean), square.rsqrt()
    shift, scale = rule.shift(mean, passed), torch.ones_like(invstd)
    if rule.rescale:
        scale = _except(passed, power.rsqrt() if rule.about_zero else invstd, 1.0)
    output: Tensor = _Standardize.apply(x, weight, bias, mean, shift, scale, passed, eps, rule)  # type: ignore[no-untyped-call]
    return output


def standardize_by(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, var: Tensor, eps: float, rule: Rule
) -> Tensor:
    """Standardize ``x`` by the given moments, which are constants to differentiation."""
    if rule.is_batch_norm:
        return batch_norm(x, mean, var, weight, bias, False, 0.0, eps)
    passed = rule.passed(var + mean.square())
    scale = rule.scale(mean, var, passed, eps)
    return affine(x, rule.shift(mean, passed), product(weight, scale), bias)


class _Standardize(torch.autograd.Function):
    """The formulas at the head of this file, from the moments as the framework's kernel saves them."""

    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        shift: Tensor,
        scale: Tensor,
        passed: Tensor | None,
        eps: float,
        rule: Rule,
    ) -> Tensor:
        return affine(x, shift, product(weight, scale), bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, mean, shift, scale, passed, ctx.eps, ctx.rule = inputs
        ctx.save_for_backward(x, weight, mean, shift, scale, passed)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, shift, scale, passed = ctx.saved_tensors
        if torch.is_grad_enabled() or x.dtype in HALF:
            grads = _differentiable_backward(grad, x, weight, passed, ctx.eps, ctx.rule)
        else:
            grads = _kernel_backward(grad, x, weight, mean, shift, scale, passed, ctx.rule)
        needed = (g if needs else None for g, needs in zip(grads, ctx.needs_input_grad, strict=False))
        return *needed, *(None,) * 6


def _kernel_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor | None,
    mean: Tensor,
    shift: Tensor,
    scale: Tensor,
    passed: Tensor | None,
    rule: Rule,
) -> tuple[Tensor, Tensor, Tensor]:
    gain, one = product(weight, scale), torch.ones_like(scale)
    linear = not (rule.center or rule.rescale) or (passed is not None and bool(passed.all()))
    # The inference kernel returns a ∂y as ∂x; with 1/σ = 1 its ∂γ and ∂β are the sums G₁ and G₀.
    grad_x, g1, g0 = torch.ops.aten.native_batch_norm_backward(
        grad, x, gain, shift, one, None, None, False, 0.0, [linear, True, True]
    )
    if not linear:
        a, b, c = _coefficients(rule, passed, mean, scale, gain, g0, g1, x.numel() // x.shape[1])
        grad_x = torch.addcmul(affine(x, mean, b, c), grad, per_channel(a, x))
    return grad_x, g1 * scale, g0


def _differentiable_backward(
    grad: Tensor, x: Tensor, weight: Tensor | None, passed: Tensor | None, eps: float, rule: Rule
) -> tuple[Tensor, Tensor, Tensor]:
    dtype, dims = x.dtype, reduced_dims(x)
    x, grad = at_least_single(x), at_least_single(grad)
    mean = x.mean(dims)
    centered = x - per_channel(mean, x)
    var = centered.square().mean(dims)
    scale = rule.scale(mean, var, passed, eps)
    gain = product(weight, scale)
    g0 = grad.sum(dims)
    g1 = (grad * (x - per_channel(rule.shift(mean, passed), x))).sum(dims)
    vectors = _coefficients(rule, passed, mean, scale, gain, g0, g1, x.numel() // x.shape[1])
    a, b, c = (per_channel(vector, x) for vector in vectors)
    return (a * grad + b * centered + c).to(dtype), g1 * scale, g0


def _coefficients(
    rule: Rule,
    passed: Tensor | None,
    mean: Tensor,
    scale: Tensor,
    gain: Tensor,
    g0: Tensor,
    g1: Tensor,
    n: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The coefficients a, b, c of ∂x; ``gain`` is γ s."""
    minus = gain * (-1.0 / n)
    b = _except(passed, minus * scale.square() * g1, 0.0) if rule.rescale else torch.zeros_like(g1)
    c = _except(passed, minus * g0, 0.0) if rule.center else torch.zeros_like(g0)
    return gain, b, c + mean * b if rule.about_zero else c


def _except(passed: Tensor | None, vector: Tensor, value: float) -> Tensor:
    """``vector``, with ``value`` for the channels that pass the gate."""
    return vector if passed is None else vector.masked_fill(passed, value)


def _composite(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    momentum: float,
    eps: float,
    rule: Rule,
) -> Tensor:
    """:func:`standardize` by ordinary operations."""
    dtype, n = x.dtype, x.numel() // x.shape[1]
    x = at_least_single(x)
    var, mean = torch.var_mean(x, reduced_dims(x), correction=0)
    passed = rule.passed(var + mean.square())
    if running_mean is not None and running_var is not None:
        average_in(running_mean, mean, momentum)
        average_in(running_var, var * (n / (n - 1)), momentum)
    shift, scale = rule.shift(mean, passed), rule.scale(mean, var, passed, eps)
    return composite_affine(x, shift, scale, weight, bias).to(dtype)
