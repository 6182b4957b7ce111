"""Filter response normalization and its thresholded linear unit (Singh and Krishnan 2019)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normscope.errors import InputError
from normscope.nn.affine_norm import AffineNorm
from normscope.nn.arguments import check_number
from normscope.nn.arithmetic import at_least_single, per_channel


class FilterResponseNorm(AffineNorm):
    """Each channel of each sample divided by the root of its mean square, then cut off below a learned threshold.

    With ``ν² = E[x²]`` over the positions of one channel of one sample,

        y = max(z, τ),   z = γ x / √(ν² + |ε|) + β

    The maximum is the thresholded linear unit (TLU): it is an activation, so no other needs to follow. With
    ``tlu=False`` the output is z.

    One value per channel has ``ν² = x²``, and for a small ε only the sign of x is left: this is refused, unless ε is
    learned, which is the paper's remedy for fully connected layers (with an initial value of 1e-4).

    Args:
        num_features: number of channels C.
        eps: ε, at least 0; its initial value if it is learned, then above 0.
        learn_eps: learn ε, one for the layer.
        tlu: end in the maximum with τ, which is learned per channel and starts at 0.
        gain: learn γ, per channel.
        bias: learn β, per channel.
        device: device of the parameters.
        dtype: their type.

    Shapes: (N, C, L), (N, C, H, W) or (N, C, D, H, W) in, the same out, and (N, C) if ε is learned; a batch without
    values comes back as it is.

    Raises:
        InputError: for a bad argument or input, and for one value per channel unless ε is learned.

    Source: Singh and Krishnan 2019, §3.
    """

    threshold: nn.Parameter | None
    learned_eps: nn.Parameter | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-6,
        learn_eps: bool = False,
        tlu: bool = True,
        gain: bool = True,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, gain, bias, device, dtype)
        check_number("eps", eps, 0.0)
        if learn_eps and eps == 0:
            raise InputError("eps must be above 0 with learn_eps, not 0: the gradient of |ε| is 0 there.")
        self.eps = float(eps)
        zeros = torch.zeros(num_features, device=device, dtype=dtype)
        start = torch.full((), self.eps, device=device, dtype=dtype)
        self.register_parameter("threshold", nn.Parameter(zeros) if tlu else None)
        self.register_parameter("learned_eps", nn.Parameter(start) if learn_eps else None)

    def normalized(self, x: Tensor) -> Tensor:
        """The output for a batch that has values."""
        if x.numel() == x.shape[0] * x.shape[1] and self.learned_eps is None:
            raise InputError(
                f"FilterResponseNorm got one value per channel in an input of shape {tuple(x.shape)}, of which only "
                "the sign would be left: more positions, or learn_eps=True, is allowed."
            )
        wide = at_least_single(x)
        eps = self.eps if self.learned_eps is None else self.learned_eps.abs()
        power = wide.square()
        if x.ndim > 2:
            power = power.mean(tuple(range(2, x.ndim)), keepdim=True)
        return self._cut(self._affine(wide * (power + eps).rsqrt())).to(x.dtype)

    def of_no_values(self, x: Tensor) -> Tensor:
        """The output for a batch without values."""
        x = x if self.learned_eps is None else x * self.learned_eps  # so that ε has a gradient, too: 0
        return self._cut(self._affine(x)).to(x.dtype)

    def reset_parameters(self) -> None:
        """Set the gain to 1, the bias and the threshold to 0, and ε to its initial value."""
        super().reset_parameters()
        if self.threshold is not None:
            nn.init.zeros_(self.threshold)
        if self.learned_eps is not None:
            nn.init.constant_(self.learned_eps, self.eps)

    def extra_repr(self) -> str:
        """The arguments that describe the layer."""
        return (
            f"{super().extra_repr()}, eps={self.eps}, learn_eps={self.learned_eps is not None}, "
            f"tlu={self.threshold is not None}"
        )

    def _cut(self, z: Tensor) -> Tensor:
        """``max(z, τ)``, as ``τ + max(z − τ, 0)``, whose backward pass takes half the time."""
        if self.threshold is None:
            return z
        threshold = per_channel(self.threshold, z)
        return threshold + torch.relu(z - threshold)
