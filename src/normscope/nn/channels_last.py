"""A norm over dimension 1, applied to the last dimension."""

from __future__ import annotations

from torch import Tensor, nn


class ChannelsLast(nn.Module):
    """A norm over dimension 1, applied to the last dimension.

    It replaces a layer norm over features, and follows a linear layer, whose features come last.

    Args:
        norm: a norm whose channels are in dimension 1.

    Shapes: (N, ..., C) in, the same out.
    """

    norm: nn.Module

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """Move the channels to dimension 1, normalize, and move them back."""
        y: Tensor = self.norm(x.movedim(-1, 1)).movedim(1, -1)
        return y
