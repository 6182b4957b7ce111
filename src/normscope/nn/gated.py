"""BatchNorm for some channels only, chosen by their power (Chai et al. 2020)."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from normscope.nn.channel import ChannelNorm, check_number
from normscope.nn.standardize import Rule, standardize, standardize_by


class _GatedNorm(ChannelNorm):
    def __init__(
        self,
        num_features: int,
        threshold: float = 1.0,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        gain: bool = True,
        bias: bool = True,
        track_running_stats: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, gain, bias, track_running_stats, device, dtype)
        check_number("threshold", threshold, 0.0, infinite=True)
        self.threshold = float(threshold)
        self.rule = self.gate(self.threshold)

    @staticmethod
    @abstractmethod
    def gate(threshold: float) -> Rule:
        """The rule by which channels are chosen."""

    def extra_repr(self) -> str:
        """The arguments that describe the layer."""
        return f"{super().extra_repr()}, threshold={self.threshold}"

    def with_batch_moments(self, x: Tensor) -> Tensor:
        """The output from the batch's own moments, which set the gates."""
        return standardize(x, self.weight, self.bias, *self._count_batch(), self.eps, self.rule)

    def with_running_moments(self, x: Tensor) -> Tensor:
        """The output at inference, the gates set by the running statistics."""
        return standardize_by(x, self.weight, self.bias, *self._kept_moments(), self.eps, self.rule)


class AmplifyNorm(_GatedNorm):
    """BN_Amplify (Chai et al. 2020, §3.3): normalize only the channels whose power is *below* the threshold.

    With the power ``P = E[x²] = σ² + μ²`` of a channel,

        y = γ x̂ + β,   x̂ = (x − μ) / √(σ² + ε) where P < threshold,   x̂ = x elsewhere

    so that, before the affine, power out ≥ min(P, σ² / (σ² + ε)). The paper's text swaps the two definitions;
    its name, §3.2, Fig. 5 and all its results say what stands here. At inference the gates and the moments
    are those of the running statistics. A gate is a constant to differentiation; a channel whose power is NaN
    is normalized, so that all of it shows NaN.

    Args:
        num_features: number of channels C.
        threshold: the power below which a channel is normalized, at least 0; infinity normalizes all, 0 none.
        eps: ε, at least 0.
        momentum: weight of the newest batch in the running statistics; None averages all batches equally.
        gain: learn γ, for every channel.
        bias: learn β, for every channel.
        track_running_stats: keep running statistics and use them at inference.
        device: where parameters and buffers live.
        dtype: their type.

    Shapes: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) in, the same out.

    Raises:
        InputError: for a bad argument or input, and for training on one value a channel.
    """

    @staticmethod
    def gate(threshold: float) -> Rule:
        """Channels of less power are normalized."""
        return Rule(below=threshold)


class SuppressNorm(_GatedNorm):
    """BN_Suppress (Chai et al. 2020, §3.3): normalize only the channels whose power is *above* the threshold.

    With the power ``P = E[x²] = σ² + μ²`` of a channel,

        y = γ x̂ + β,   x̂ = (x − μ) / √(σ² + ε) where P > threshold,   x̂ = x elsewhere

    so that, before the affine, power out ≤ max(P, σ² / (σ² + ε)). The paper's text swaps the two definitions;
    its name, §3.2, Fig. 5 and all its results say what stands here. At inference the gates and the moments
    are those of the running statistics. A gate is a constant to differentiation; a channel whose power is NaN
    is normalized, so that all of it shows NaN.

    Args:
        num_features: number of channels C.
        threshold: the power above which a channel is normalized, at least 0; infinity normalizes none.
        eps: ε, at least 0.
        momentum: weight of the newest batch in the running statistics; None averages all batches equally.
        gain: learn γ, for every channel.
        bias: learn β, for every channel.
        track_running_stats: keep running statistics and use them at inference.
        device: where parameters and buffers live.
        dtype: their type.

    Shapes: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) in, the same out.

    Raises:
        InputError: for a bad argument or input, and for training on one value a channel.
    """

    @staticmethod
    def gate(threshold: float) -> Rule:
        """Channels of more power are normalized."""
        return Rule(above=threshold)
