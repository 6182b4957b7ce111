"""The two modules that surgery puts into a model."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn


class ChannelsLast(nn.Module):
    """A norm over dimension 1, applied to the last dimension.

    It stands where a layer norm over features stood, or after a linear layer, whose features come last.

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


class NormedLayer(nn.Module):
    """A layer and its norm, in the layer's place.

    Whatever attribute it does not have itself it has from the layer, since a model may ask its convolution
    for ``stride`` or ``weight``.

    Args:
        layer: the layer.
        norm: its norm.
        place: whether the norm stands after the layer or before it.

    Shapes: the layer's.

    """

    layer: nn.Module
    norm: nn.Module

    def __init__(self, layer: nn.Module, norm: nn.Module, place: Literal["after", "before"]) -> None:
        super().__init__()
        self.layer = layer
        self.norm = norm
        self.place = place

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The layer's output, normalized, or its output for the normalized input."""
        if self.place == "before":
            y: Tensor = self.layer(self.norm(x), *args, **kwargs)
        else:
            y = self.norm(self.layer(x, *args, **kwargs))
        return y

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            layer = self.__dict__.get("_modules", {}).get("layer")
            if layer is None:
                raise
            return getattr(layer, name)

    def extra_repr(self) -> str:
        """Where the norm stands."""
        return f"place={self.place}"
