"""A learned squashing function in place of a norm (Zhu et al. 2025)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normscope.nn.affine_norm import AffineNorm
from normscope.nn.arguments import check_number
from normscope.nn.arithmetic import at_least_single


class DynamicTanhNorm(AffineNorm):
    """Dynamic tanh, DyT: ``y = γ tanh(α x) + β``, with one learned α for the layer.

    No moments are measured, so a value of the output depends on no other value of the input, in training and at
    inference alike.

    Args:
        num_features: number of channels C.
        alpha: initial value of α, at least 0.
        gain: learn γ, per channel.
        bias: learn β, per channel.
        device: device of the parameters.
        dtype: their type.

    Shapes: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) in, the same out; a batch without values comes back as
    it is.

    Raises:
        InputError: for a bad argument or input.

    Source: Zhu, Chen, He, LeCun and Liu 2025, §4.
    """

    over_channels = True

    alpha: nn.Parameter

    def __init__(
        self,
        num_features: int,
        alpha: float = 0.5,
        gain: bool = True,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, gain, bias, device, dtype)
        check_number("alpha", alpha, 0.0)
        self.initial_alpha = float(alpha)
        self.alpha = nn.Parameter(torch.full((), self.initial_alpha, device=device, dtype=dtype))

    def normalized(self, x: Tensor) -> Tensor:
        """The output for a batch that has values."""
        return self._affine(torch.tanh(self.alpha * at_least_single(x))).to(x.dtype)

    def of_no_values(self, x: Tensor) -> Tensor:
        """The output for a batch without values."""
        return self.normalized(x)

    def reset_parameters(self) -> None:
        """Set α to its initial value, the gain to 1 and the bias to 0."""
        super().reset_parameters()
        nn.init.constant_(self.alpha, self.initial_alpha)

    def extra_repr(self) -> str:
        """The arguments that describe the layer."""
        return f"{super().extra_repr()}, alpha={self.initial_alpha}"
