"""The base class of the norms with a gain and a bias per channel: the parameters, and the refusal of bad input."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from normscope.errors import InputError
from normscope.nn.arguments import check_count
from normscope.nn.arithmetic import with_gain_and_bias


class AffineNorm(nn.Module, ABC):
    """Base of the norms that end in ``γ x̂ + β``, with γ and β per channel (dimension 1).

    A subclass implements :meth:`normalized`. A batch without values, of no samples or no positions, comes back as it
    is, and the gradients of γ and β are 0, as in torch's norms.

    Args:
        num_features: number of channels C.
        gain: learn γ.
        bias: learn β.
        device: device of the parameters.
        dtype: their type.
    """

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(
        self,
        num_features: int,
        gain: bool = True,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_count("the number of channels", num_features)
        self.num_features = num_features
        ones = torch.ones(num_features, device=device, dtype=dtype)
        self.register_parameter("weight", nn.Parameter(ones) if gain else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros_like(ones)) if bias else None)

    def forward(self, input: Tensor) -> Tensor:
        """Normalize ``input`` of shape (N, C, ...); the name is torch's, by which a model may pass it."""
        self._check_input(input)
        return self.of_no_values(input) if input.numel() == 0 else self.normalized(input)

    @abstractmethod
    def normalized(self, x: Tensor) -> Tensor:
        """The output for a batch that has values."""

    def of_no_values(self, x: Tensor) -> Tensor:
        """The output for a batch without values."""
        return self._affine(x).to(x.dtype)

    def reset_parameters(self) -> None:
        """Set the gain to 1 and the bias to 0."""
        if self.weight is not None:
            nn.init.ones_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def extra_repr(self) -> str:
        """The arguments that describe the layer."""
        return f"{self.num_features}, gain={self.weight is not None}, bias={self.bias is not None}"

    def _affine(self, x: Tensor) -> Tensor:
        """``γ x + β``."""
        return with_gain_and_bias(x, self.weight, self.bias)

    def _check_input(self, x: Tensor) -> None:
        if not 2 <= x.ndim <= 5:
            raise InputError(f"a norm's input has 2 to 5 dimensions (N, C, ...), not shape {tuple(x.shape)}.")
        if x.shape[1] != self.num_features:
            raise InputError(f"this norm has {self.num_features} channels, but its input has {x.shape[1]}.")
        if not x.is_floating_point():
            raise InputError(f"a norm's input must be of floating point, not {x.dtype}.")
