"""A convolution that learns as an adaptive filter does (Chai et al. 2020, eqs. 7-9 and noise study)."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from normscope.errors import InputError
from normscope.nn.arguments import check_number

# How many values of unfolded patches are in memory at a time.
_ELEMENTS_AT_ONCE = 2**22


class AdaptiveConv2d(nn.Conv2d):
    """``nn.Conv2d`` whose weight gradient is NLMS-normalized, taken from a noisy local error, or both.

    With the patch ``x_{c,m}`` of input channel c at output position m, and the local error ``e = −∂L/∂y``, a descent
    step of rate η along the weight's gradient is

        ΔW[o,c,i] = η Σ_m (e_{o,m} + ν_{o,m}) x_{c,m,i} / (ε + ‖x_{c,m}‖)

    summed over the batch as well. ``‖x_{c,m}‖`` is the power of the patch: the mean of its squares with
    ``normalizer="l2"`` and of its absolute values with ``"l1"``; with ``power="sum"``, sums replace the means (the
    paper's literal formula). Zeros of the padding count as zeros of the patch. ν is Gaussian noise of standard
    deviation ``error_noise · std(e)``, where std is taken over all of e; every backward pass draws it again. The ratio
    of noise to error does not depend on the loss's scale: a loss averaged over the batch scales both alike.

    The forward pass and the gradients of the input and the bias are ``nn.Conv2d``'s. With a normalizer or noise, the
    weight's "gradient" is deliberately not the gradient of any loss, so a second derivative through it is refused.

    Args:
        in_channels: number of input channels.
        out_channels: number of output channels.
        kernel_size, stride, padding, dilation, groups, bias, padding_mode: as in ``nn.Conv2d``.
        normalizer: None, ``"l1"`` or ``"l2"``.
        power: ``"mean"`` or ``"sum"`` over the values of a patch.
        eps: ε, at least 0; above 0 with a normalizer, since a patch may be all zero.
        error_noise: the standard deviation of ν in units of e's, at least 0.
        generator: source of ν; None is torch's global one. ν is drawn on the generator's device: from one on the CPU
            come the same ν for inputs on any device.
        device: device of the parameters.
        dtype: their type.

    Shapes: (N, C, H, W) or (C, H, W) in; out as in ``nn.Conv2d``.

    Raises:
        InputError: for a bad argument.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: str | int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
        *,
        normalizer: Literal["l1", "l2"] | None = None,
        power: Literal["mean", "sum"] = "mean",
        eps: float = 1e-2,
        error_noise: float = 0.0,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        try:
            super().__init__(
                in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
                padding_mode, device, dtype,
            )  # fmt: skip
        except ValueError as error:
            raise InputError(str(error)) from error
        if normalizer not in (None, "l1", "l2"):
            raise InputError(f"normalizer must be None, 'l1' or 'l2', not {normalizer!r}.")
        if power not in ("mean", "sum"):
            raise InputError(f"power must be 'mean' or 'sum', not {power!r}.")
        check_number("eps", eps, 0.0)
        check_number("error_noise", error_noise, 0.0)
        if normalizer is not None and eps == 0:
            raise InputError("eps must be above 0 with a normalizer, not 0: a patch may be all zero.")
        self.normalizer = normalizer
        self.power = power
        self.eps = float(eps)
        self.error_noise = float(error_noise)
        self.generator = generator

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.normalizer is None and self.error_noise == 0:
            plain: Tensor = super()._conv_forward(input, weight, bias)
            return plain
        # Padding first, in every mode, leaves the gradient one case.
        x = input if input.ndim == 4 else input.unsqueeze(0)
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        sides = self._reversed_padding_repeated_twice
        x = F.pad(x, sides, mode=mode) if any(sides) else x
        dtype = torch.get_autocast_dtype(x.device.type)
        if torch.is_autocast_enabled(x.device.type):
            x, weight = x.to(dtype), weight.to(dtype)
            bias = None if bias is None else bias.to(dtype)
        y: Tensor = _AdaptiveConv.apply(  # type: ignore[no-untyped-call]
            x, weight, bias, self.stride, self.dilation, self.groups,
            self.normalizer, self.power, self.eps, self.error_noise, self.generator,
        )  # fmt: skip
        return y if input.ndim == 4 else y.squeeze(0)

    def extra_repr(self) -> str:
        """The arguments that describe the layer."""
        return (
            f"{super().extra_repr()}, "  # type: ignore[no-untyped-call]
            f"normalizer={self.normalizer}, power={self.power}, eps={self.eps}, "
            f"error_noise={self.error_noise}"
        )


class _AdaptiveConv(torch.autograd.Function):
    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        dilation: tuple[int, int],
        groups: int,
        normalizer: str | None,
        power: str,
        eps: float,
        error_noise: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        return F.conv2d(x, weight, bias, stride, 0, dilation, groups)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, *ctx.options = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        _, stride, dilation, groups, normalizer, power, eps, error_noise, generator = ctx.options
        needs_x, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        geometry = (None, stride, (0, 0), dilation, False, (0, 0), groups)
        native = torch.ops.aten.convolution_backward
        grad_x = native(grad, x, weight, *geometry, (True, False, False))[0] if needs_x else None
        grad_weight = None
        if needs_weight:
            error = grad
            if error_noise > 0 and grad.numel() > 0:
                source = grad.device if generator is None else generator.device
                noise = torch.randn(grad.shape, generator=generator, device=source, dtype=grad.dtype)
                error = grad + error_noise * grad.std(correction=0) * noise.to(grad.device)
            if normalizer is None or grad.numel() == 0:
                grad_weight = native(error, x, weight, *geometry, (False, True, False))[1]
            else:
                normal = _inverse_power(x, weight, stride, dilation, normalizer, power, eps)
                grad_weight = _normalized_gradient(x, weight, error, normal, stride, dilation, groups)
        return grad_x, grad_weight, grad.sum((0, 2, 3)) if needs_bias else None, *(None,) * 8


def _inverse_power(
    x: Tensor,
    weight: Tensor,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    normalizer: str,
    power: str,
    eps: float,
) -> Tensor:
    """``1 / (ε + ‖x_{c,m}‖)`` of shape (N, C, positions): a box filter over each channel."""
    n, channels = x.shape[:2]
    size = x.abs() if normalizer == "l1" else x.square()
    box = x.new_ones(1, 1, *weight.shape[2:])
    if power == "mean":
        box = box / box.numel()
    powers = F.conv2d(size.reshape(n * channels, 1, *x.shape[2:]), box, stride=stride, dilation=dilation)
    return (powers + eps).reciprocal().view(n, channels, -1)


def _normalized_gradient(
    x: Tensor,
    weight: Tensor,
    error: Tensor,
    normal: Tensor,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> Tensor:
    """``Σ_{n,m} error[n,o,m] x[n,c,m,i] normal[n,c,m]``, with the patches of a few samples in memory at a time."""
    patches = x
    for dim, kernel, step, gap in zip((2, 3), weight.shape[2:], stride, dilation, strict=True):
        patches = patches.unfold(dim, gap * (kernel - 1) + 1, step)[..., ::gap]
    # A view of x: sample, channel, position in the patch, output position.
    patches = patches.permute(0, 1, 4, 5, 2, 3)
    at_once = max(1, _ELEMENTS_AT_ONCE // max(patches[:1].numel(), 1))
    total = torch.zeros_like(weight).view(groups, weight.shape[0] // groups, -1)
    for start in range(0, x.shape[0], at_once):
        part = slice(start, start + at_once)
        rows = patches.new_empty(patches[part].shape)
        torch.mul(patches[part], normal[part].view(-1, x.shape[1], 1, 1, *error.shape[2:]), out=rows)
        rows = rows.view(rows.shape[0], groups, -1, normal.shape[2])
        errors = error[part].reshape(rows.shape[0], groups, -1, normal.shape[2])
        total = total + (errors @ rows.transpose(2, 3)).sum(0)
    return total.view(weight.shape)
