"""Normalization by the root of the mean square (Zhang and Sennrich 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from normscope.nn.affine_norm import AffineNorm
from normscope.nn.arguments import check_number
from normscope.nn.arithmetic import at_least_single


class RMSNorm(AffineNorm):
    """Each sample divided by the root of its mean square: ``y = γ x / √(E[x²] + ε) + β``.

    The mean is over the channels and positions of a sample, as in a layer norm, whose mean is not subtracted here. On
    (N, C) the layer is ``torch.nn.RMSNorm(C, eps)``.

    Args:
        num_features: number of channels C.
        eps: ε, at least 0; None is the rounding of the type, as in ``torch.nn.RMSNorm``.
        gain: learn γ, per channel.
        bias: learn β, per channel.
        device: device of the parameters.
        dtype: their type.

    Shapes: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) in, the same out; a batch without values comes back as
    it is.

    Raises:
        InputError: for a bad argument or input.

    Source: Zhang and Sennrich 2019, eq. 4.
    """

    over_channels = True

    def __init__(
        self,
        num_features: int,
        eps: float | None = 1e-5,
        gain: bool = True,
        bias: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, gain, bias, device, dtype)
        if eps is not None:
            check_number("eps", eps, 0.0)
        self.eps = None if eps is None else float(eps)

    def normalized(self, x: Tensor) -> Tensor:
        """The output for a batch that has values."""
        wide = at_least_single(x)
        eps = torch.finfo(wide.dtype).eps if self.eps is None else self.eps
        power = wide.square().mean(tuple(range(1, x.ndim)), keepdim=True)
        return self._affine(wide * (power + eps).rsqrt()).to(x.dtype)

    def extra_repr(self) -> str:
        """The arguments that describe the layer."""
        return f"{super().extra_repr()}, eps={self.eps}"
