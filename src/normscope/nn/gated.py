"""BatchNorm for some channels only, chosen by their power (Chai et al. 2020)."""

from __future__ import annotations

from abc import abstractmethod

import torch

from normscope.nn.arguments import check_number
from normscope.nn.standardization import Rule, StandardizingNorm


class _GatedNorm(StandardizingNorm):
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
        """The rule that chooses the channels."""

    def extra_repr(self) -> str:
        """The arguments that describe the layer."""
        return f"{super().extra_repr()}, threshold={self.threshold}"


class AmplifyNorm(_GatedNorm):
    """BN_Amplify (Chai et al. 2020, §3.3): normalize only the channels whose power is *below* the threshold.

    With the power ``P = E[x²] = σ² + μ²`` of a channel,

        y = γ x̂ + β,   x̂ = (x − μ) / √(σ² + ε) if P < threshold,   x̂ = x otherwise

    so that, before the affine map, the power out is at least min(P, σ² / (σ² + ε)). The paper's text swaps the two
    definitions; its name, §3.2, Fig. 5 and all its results agree with this one. At inference the running statistics
    provide the moments and set the gates. A gate is a constant to differentiation. A channel whose power is NaN is
    normalized, so that all of it shows NaN.

    Args:
        num_features: number of channels C.
        threshold: normalize the channels of less power, at least 0; infinity normalizes all channels, 0 none.
        eps, momentum, track_running_stats, device, dtype: as in :class:`~normscope.nn.BatchNorm`.
        gain: learn γ, for every channel.
        bias: learn β, for every channel.

    Shapes: (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W) in, the same out.

    Raises:
        InputError: for a bad argument or input, and for training on one value per channel.
    """

    @staticmethod
    def gate(threshold: float) -> Rule:
        """Normalize the channels of less power."""
        return Rule(below=threshold)


class SuppressNorm(_GatedNorm):
    """BN_Suppress (Chai et al. 2020, §3.3): normalize only the channels whose power is *above* the threshold.

    The counterpart of :class:`AmplifyNorm`, with the same arguments, shapes and errors:

        y = γ x̂ + β,   x̂ = (x − μ) / √(σ² + ε) if P > threshold,   x̂ = x otherwise

    so that, before the affine map, the power out is at most max(P, σ² / (σ² + ε)). A threshold of infinity normalizes
    no channel; 0 normalizes every channel with power.
    """

    @staticmethod
    def gate(threshold: float) -> Rule:
        """Normalize the channels of more power."""
        return Rule(above=threshold)
