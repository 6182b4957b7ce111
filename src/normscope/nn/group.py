"""Group normalization with a gain and a bias of their own: the layer of the specs group, layer and instance."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from normscope.errors import InputError
from normscope.nn.arguments import check_count, check_number
from normscope.nn.arithmetic import with_gain_and_bias


class GroupNorm(nn.GroupNorm):
    """``torch.nn.GroupNorm`` (Wu and He 2018) whose gain and bias can be left out one by one.

    ``y = γ (x − μ) / √(σ² + ε) + β``, where μ and σ² are the mean and biased variance of a sample over the channels of
    a group and all positions. One group is layer norm, a group per channel is instance norm. On (N, C), one group
    without ``bias`` is ``torch.nn.LayerNorm(C, bias=False)``.

    Args:
        num_groups: number of groups, a divisor of C.
        num_channels: number of channels C.
        eps: ε, at least 0.
        affine: learn γ and β, where ``gain`` and ``bias`` do not say otherwise.
        gain: learn γ; None is ``affine``.
        bias: learn β; None is ``affine``.
        device: device of the parameters.
        dtype: their type.

    Shapes: (N, C, ...) in, the same out; a batch without values comes back as it is.

    Raises:
        InputError: for a bad argument, an input of other channels, and an input with one value per group, whose
            output would be β whatever the input is.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        gain: bool | None = None,
        bias: bool | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_count("the number of channels", num_channels)
        if (
            isinstance(num_groups, bool)
            or not isinstance(num_groups, int)
            or num_groups < 1
            or num_channels % num_groups
        ):
            raise InputError(
                f"norm 'group' cannot split {num_channels} channels into {num_groups!r} groups: a divisor of "
                f"{num_channels} is allowed."
            )
        check_number("eps", eps, 0.0)
        super().__init__(num_groups, num_channels, float(eps), affine=False)
        has_gain, has_bias = (affine if given is None else given for given in (gain, bias))
        self.affine = has_gain and has_bias
        ones = torch.ones(num_channels, device=device, dtype=dtype)
        self.register_parameter("weight", nn.Parameter(ones) if has_gain else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros_like(ones)) if has_bias else None)

    def forward(self, input: Tensor) -> Tensor:
        """Normalize each group of channels of each sample."""
        if input.ndim < 2 or input.shape[1] != self.num_channels:
            raise InputError(
                f"this norm has {self.num_channels} channels in dimension 1, not an input of shape "
                f"{tuple(input.shape)}."
            )
        if input.numel() == 0:
            # The framework's kernel has NaN as the gradient of γ for an input of samples without positions.
            return with_gain_and_bias(input, self.weight, self.bias).to(input.dtype)
        if input.numel() == input.shape[0] * self.num_groups:
            raise InputError(
                f"a norm of {self.num_groups} group{'s' if self.num_groups > 1 else ''} got one value per group in an "
                f"input of shape {tuple(input.shape)}, and its output would be constant: fewer groups or more "
                "positions are allowed."
            )
        if self.weight is None and self.bias is not None:
            # The framework's kernel has no second derivative with a bias alone.
            y = F.group_norm(input, self.num_groups, eps=self.eps)
            return with_gain_and_bias(y, None, self.bias).to(input.dtype)
        return super().forward(input)

    def reset_parameters(self) -> None:
        """Set the gain to 1 and the bias to 0."""
        if self.weight is not None:
            nn.init.ones_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def extra_repr(self) -> str:
        """The arguments that describe the layer."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, gain={self.weight is not None}, "
            f"bias={self.bias is not None}"
        )
