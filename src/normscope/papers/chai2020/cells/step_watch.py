"""Compares one plain weight step with the one that NLMS would have made at the same point (Chai et al. 2020, §4).

NLMS divides each output position's contribution by the power of each input channel's block of its patch (eq. 9). Where
the convolution's input is normalized, that power is 1 on average and the plain step should be NLMS's without the
division (eq. 10); with γ and β it is γ² + β². The input is therefore the convolution's own: for BN_Prior, the output of
the norm. This module imports torch: only a running cell imports it.
"""

from __future__ import annotations

import functools
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from normscope import training
from normscope.errors import InputError
from normscope.networks import LeNet
from normscope.nn import AdaptiveConv2d, BatchNorm

Power = Literal["mean", "sum"]
NLMS = functools.partial(AdaptiveConv2d, bias=False, normalizer="l2")


def power_variation(x: Tensor, kernel: tuple[int, int]) -> Tensor:
    """The coefficient of variation of the patches' power: over samples and positions, the mean over channels.

    Args:
        x: a convolution's input, (N, C, H, W).
        kernel: height and width of its patches.
    """
    powers = torch.nn.functional.avg_pool2d(x.square(), kernel, stride=1)
    variance, mean = torch.var_mean(powers, (0, 2, 3), correction=0)
    return (variance.sqrt() / mean).mean()


class StepWatch:
    """Keeps the input, the local error and the norm's parameters of the second convolution's last step.

    Args:
        model: a LeNet whose second convolution takes plain steps; it trains on undisturbed.

    Raises:
        InputError: when the second convolution is none, or its steps are not plain.
    """

    def __init__(self, model: LeNet) -> None:
        conv = model.conv2
        if not isinstance(conv, nn.Conv2d) or getattr(conv, "normalizer", None) is not None:
            raise InputError(f"the watched convolution must take plain steps; {conv} does not.")
        self._weight = conv.weight
        height, width = conv.kernel_size
        shape = (conv.in_channels, conv.out_channels, (height, width))
        self._kernel = (height, width)
        self._norms = [norm for norm in (model.before2, model.norm2) if isinstance(norm, BatchNorm)]
        self._prior = isinstance(model.before2, BatchNorm)
        with training.seeded(0):  # their weights do not matter: NLMS's step depends on input and error alone
            adaptive = {power: NLMS(*shape, power=power) for power in get_args(Power)}
        self._adaptive = {power: layer.to(conv.weight.device) for power, layer in adaptive.items()}
        model.before2.register_forward_pre_hook(self._keep_raw)
        conv.register_forward_hook(self._keep_point)

    def compare(self) -> dict[str, float]:
        """The last step's measures, by the names of the rows of ``cells.step_comparison.compare_steps``."""
        if self._weight.grad is None:
            raise InputError("no step has been taken yet.")
        plain = self._weight.grad.flatten()
        update = self._nlms(self._input, "mean")
        measured = {
            "cosine_mean": cosine_similarity(plain, update, dim=0),
            "cosine_sum": cosine_similarity(plain, self._nlms(self._input, "sum"), dim=0),
            "length": plain.norm() / update.norm(),
        }
        measured["power_variation"] = power_variation(self._input, self._kernel)
        if self._prior:
            measured["cosine_before_norm"] = self._cosine_before_norm()
        for gain, bias in self._affine:
            measured["gain_distance"] = (gain - 1).square().mean().sqrt()
            measured["bias_distance"] = bias.square().mean().sqrt()
        return {name: value.item() for name, value in measured.items()}

    def _cosine_before_norm(self) -> Tensor:
        """The cosine in the space of weights on the input before the norm, ``V = W γ/σ_c``, which BN_Prior implies.

        With ``x̂ = γ (x − μ_c)/σ_c + β`` a step ΔW of the weights is a step ``ΔW γ/σ_c`` of V; NLMS descends on V from
        the input x − μ_c.
        """
        assert self._weight.grad is not None
        variance, mean = torch.var_mean(self._raw, (0, 2, 3), correction=0)
        (gain, _), *_ = self._affine or [(torch.ones_like(mean), mean)]
        scale = (gain / (variance + self._norms[0].eps).sqrt()).view(1, -1, 1, 1)
        centered = self._raw - mean.view(1, -1, 1, 1)
        return cosine_similarity((self._weight.grad * scale).flatten(), self._nlms(centered, "mean"), dim=0)

    def _nlms(self, x: Tensor, power: Power) -> Tensor:
        """NLMS_L2's weight gradient from input ``x`` and the step's local error; it does not depend on the weights."""
        adaptive = self._adaptive[power]
        (gradient,) = torch.autograd.grad(adaptive(x), adaptive.weight, self._gradient)
        return gradient.flatten()

    def _keep_raw(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._raw = inputs[0].detach()

    def _keep_point(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._input = inputs[0].detach()
        output.register_hook(self._keep_gradient)  # type: ignore[no-untyped-call]
        self._affine = [
            (norm.weight.detach().clone(), norm.bias.detach().clone())
            for norm in self._norms
            if norm.weight is not None and norm.bias is not None
        ]

    def _keep_gradient(self, gradient: Tensor) -> None:
        self._gradient = gradient
