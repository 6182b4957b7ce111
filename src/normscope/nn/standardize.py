"""Standardization by the first two moments, channel by channel, with parts and gates.

For a channel with batch mean μ and biased variance v, over n values:

    y = γ s (x − κ μ) + β,   s = (v + τ μ² + ε)^(−1/2) where ρ, else 1

κ (centre) and ρ (rescale) are 0 or 1 a channel, τ is 1 where the moment is taken about zero. κ = ρ = 1, τ = 0
is BatchNorm. A gate sets κ and ρ by the channel's power v + μ² and is a constant to differentiation. With
``G₀ = Σ ∂y`` and ``G₁ = Σ ∂y (x − κμ)``,

    ∂β = G₀,   ∂γ = s G₁,   ∂x = a ∂y + b (x − μ) + c,
    a = γ s,   b = −ρ γ s³ G₁ / n,   c = τ μ b − κ a G₀ / n

which for BatchNorm is Ioffe and Szegedy's backward pass. On the CPU the two sums and the two affine maps are
the framework's batch-norm kernels, called with these coefficients; elsewhere, under ``torch.compile`` and for
higher derivatives the same formulas run as ordinary operations.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import torch
from torch import Tensor

from normscope.nn.channel import (
    HALF,
    at_least_single,
    average_in,
    batch_norm,
    per_channel,
    reduced_dims,
    side_by_side,
)


@dataclasses.dataclass(frozen=True)
class Rule:
    """Which parts of the standardization apply.

    Attributes:
        center: subtract the mean.
        rescale: divide by the root of the moment.
        about_zero: the moment is E[x²], else the variance.
        below: only channels of less power are normalized.
        above: only channels of more power are normalized.
    """

    center: bool = True
    rescale: bool = True
    about_zero: bool = False
    below: float | None = None
    above: float | None = None

    @property
    def is_batch_norm(self) -> bool:
        """Whether an open channel is treated as BatchNorm treats it."""
        return self.center and self.rescale and not self.about_zero

    def passed(self, power: Tensor, surplus: float = 0.0) -> Tensor | None:
        """Which channels the gate lets pass as they are, given their power, or their power plus ``surplus``.

        None where there is no gate. A channel of unknown power (NaN) is not let pass, so that its NaN shows.
        """
        if self.below is not None:
            return power >= self.below + surplus if self.below > 0 else power == power
        if self.above is not None:
            return power <= self.above + surplus
        return None

    def shift(self, mean: Tensor, passed: Tensor | None) -> Tensor:
        """κμ."""
        return _except(passed, mean, 0.0) if self.center else torch.zeros_like(mean)

    def scale(self, mean: Tensor, var: Tensor, passed: Tensor | None, eps: float) -> Tensor:
        """The scale s."""
        if not self.rescale:
            return torch.ones_like(var)
        moment = var + mean.square() if self.about_zero else var
        # rsqrt, as the kernel has it: an open channel is BatchNorm's to the bit.
        return _except(passed, moment + eps, 1.0).rsqrt()


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
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return _composite(x, weight, bias, running_mean, running_var, momentum, eps, rule)
    # Under vmap the layers of a stack need not agree on whether every gate is open.
    stacked = torch._C._are_functorch_transforms_active()
    gated = rule.below is not None or rule.above is not None
    if gated or stacked:
        y, mean, invstd = torch.native_batch_norm(
            x, weight, bias, running_mean, running_var, True, momentum, eps
        )
        square = invstd.pow(-2)  # σ² + ε
        if eps == 0:  # then the kernel writes 0 for a constant channel's 1/σ
            square = square.masked_fill(invstd == 0, 0.0)
        power = torch.addcmul(square, mean, mean)  # P + ε
        passed = rule.passed(power, surplus=eps)
        if passed is not None and not stacked and not bool(passed.any()):
            return y
        del y  # its memory serves the next line
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
    """Standardize ``x`` by given moments, which are constants to differentiation."""
    passed = rule.passed(var + mean.square())
    scale = rule.scale(mean, var, passed, eps)
    gain = scale if weight is None else weight * scale
    return batch_norm(x, rule.shift(mean, passed), torch.ones_like(mean), gain, bias, False, 0.0, 0.0)


class _Standardize(torch.autograd.Function):
    """The formulas above, given the moments as the framework's kernel saves them."""

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
        return affine(x, shift, scale if weight is None else weight * scale, bias)

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
        wanted = (g if needed else None for g, needed in zip(grads, ctx.needs_input_grad, strict=False))
        return *wanted, *(None,) * 6

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Tensor, int]:
        """A stack of layers is one layer with the stack's channels side by side."""
        x, flat = side_by_side(info.batch_size, in_dims, args[:7])
        y: Tensor = _Standardize.apply(x, *flat, *args[7:])  # type: ignore[no-untyped-call]
        return y.view(y.shape[0], info.batch_size, -1, *y.shape[2:]), 1


# torch binds the arguments of every call by the signature, which is slow to find.
_Standardize.forward.__signature__ = inspect.signature(_Standardize.forward)  # type: ignore[attr-defined]


def affine(x: Tensor, shift: Tensor, gain: Tensor, bias: Tensor | None) -> Tensor:
    """``gain (x − shift) + bias`` by the framework's inference kernel."""
    return torch.native_batch_norm(x, gain, bias, shift, torch.ones_like(shift), False, 0.0, 0.0)[0]


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
    gain, one = scale if weight is None else weight * scale, torch.ones_like(scale)
    linear = not (rule.center or rule.rescale) or (passed is not None and bool(passed.all()))
    # The inference kernel's ∂x is a ∂y; its ∂γ and ∂β are the sums, since its 1/σ is 1.
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
    gain = scale if weight is None else weight * scale
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
    """The a, b, c of this file's head; ``gain`` is γs."""
    minus = gain * (-1.0 / n)
    b = _except(passed, minus * scale.square() * g1, 0.0) if rule.rescale else torch.zeros_like(g1)
    c = _except(passed, minus * g0, 0.0) if rule.center else torch.zeros_like(g0)
    return gain, b, c + mean * b if rule.about_zero else c


def _except(passed: Tensor | None, vector: Tensor, value: float) -> Tensor:
    """``vector`` with ``value`` for the channels that pass."""
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
    dtype, dims = x.dtype, reduced_dims(x)
    x = at_least_single(x)
    var, mean = torch.var_mean(x, dims, correction=0)
    passed = rule.passed(var + mean.square())
    if running_mean is not None and running_var is not None:
        n = x.numel() // x.shape[1]
        average_in(running_mean, mean, momentum)
        average_in(running_var, var * (n / (n - 1)), momentum)
    y = (x - per_channel(rule.shift(mean, passed), x)) * per_channel(rule.scale(mean, var, passed, eps), x)
    if weight is not None:
        y = y * per_channel(weight, x)
    return (y if bias is None else y + per_channel(bias, x)).to(dtype)
