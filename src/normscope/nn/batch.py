"""Batch normalization, its parts switchable."""

from __future__ import annotations

import torch

from normscope.nn.standardization import Rule, StandardizingNorm


class BatchNorm(StandardizingNorm):
    """Batch normalization (Ioffe and Szegedy 2015), for inputs of any dimension.

    ``y = γ (x − μ) / √(σ² + ε) + β``, where μ and σ² are the mean and biased variance of a channel over batch and
    space, or the running ones at inference. With its defaults it is interchangeable with
    ``torch.nn.BatchNorm1d/2d/3d``: the same numbers, state and running statistics.

    The switches produce every row of Table 2 of Bjorck et al. 2018. Without ``center``, μ is not subtracted (σ² stays
    the variance about the mean); without ``rescale``, nothing is divided; without ``gain`` or ``bias``, there is no γ
    or β. Running statistics are kept whichever parts are on.

    Args:
        num_features: number of channels C.
        eps: ε, at least 0.
        momentum: weight of the newest batch in the running statistics; None averages all batches equally.
        center: subtract the mean.
        rescale: divide by the standard deviation.
        gain: learn γ.
        bias: learn β.
        track_running_stats: keep running statistics and use them at inference; without them, inference uses the
            batch's own moments.
        device: device of the parameters and buffers.
        dtype: their type.

    Shapes: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) in, the same out.

    Raises:
        InputError: for a bad argument or input, and for training on one value per channel.
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

    def extra_repr(self) -> str:
        """The arguments that describe the layer."""
        return f"{super().extra_repr()}, center={self.rule.center}, rescale={self.rule.rescale}"
