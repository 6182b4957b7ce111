"""The module that surgery puts in a layer's place: the layer with its norm."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn


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
