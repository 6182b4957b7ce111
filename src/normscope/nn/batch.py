"""Batch normalization, its parts switchable."""

from __future__ import annotations

import torch
from torch import Tensor

from normscope.nn.channel import ChannelNorm, batch_norm
from normscope.nn.standardize import Rule, standardize, standardize_by


class BatchNorm(ChannelNorm):
    """Batch normalization (Ioffe and Szegedy 2015), for inputs of any dimension.

    ``y = γ (x − μ) / √(σ² + ε) + β``, μ and σ² the mean and biased variance of a channel over batch and
    space, the running ones at inference. With its defaults it is interchangeable with
    ``torch.nn.BatchNorm1d/2d/3d``: the same numbers, state and running statistics.

    The switches give every row of Table 2 of Bjorck et al. 2018: without ``center`` μ is not subtracted (σ²
    stays the variance about the mean), without ``rescale`` nothing is divided, without ``gain`` or ``bias``
    there is no γ or β. Running statistics are kept whichever parts are on.

    Args:
        num_features: number of channels C.
        eps: ε, at least 0.
        momentum: weight of the newest batch in the running statistics; None averages all batches equally.
        center: subtract the mean.
        rescale: divide by the standard deviation.
        gain: learn γ.
        bias: learn β.
        track_running_stats: keep running statistics and use them at inference.
        device: where parameters and buffers live.
        dtype: their type.

    Shapes: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) in, the same out.

    Raises:
        InputError: for a bad argument or input, and for training on one value a channel.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        center: bool = True,
        rescale: bool = True,
        gain: bool = True,
        bias: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, gain, bias, track_running_stats, device, dtype)
        self.rule = Rule(center=center, rescale=rescale)

    def with_batch_moments(self, x: Tensor) -> Tensor:
        """The output from the batch's own moments."""
        mean, var, momentum = self._count_batch()
        if self.rule.is_batch_norm:
            return batch_norm(x, mean, var, self.weight, self.bias, True, momentum, self.eps)
        return standardize(x, self.weight, self.bias, mean, var, momentum, self.eps, self.rule)

    def with_running_moments(self, x: Tensor) -> Tensor:
        """The output at inference."""
        mean, var = self._kept_moments()
        if self.rule.is_batch_norm:
            return batch_norm(x, mean, var, self.weight, self.bias, False, 0.0, self.eps)
        return standardize_by(x, self.weight, self.bias, mean, var, self.eps, self.rule)

    def extra_repr(self) -> str:
        """The arguments that describe the layer."""
        return f"{super().extra_repr()}, center={self.rule.center}, rescale={self.rule.rescale}"
