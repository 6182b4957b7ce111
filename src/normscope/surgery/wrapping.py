"""A layer together with its norm, as one module."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn

from normscope.nn.channels_last import attribute_of


class NormedLayer(nn.Module):
    """A layer and its norm, in the layer's place.

    Attributes that it lacks come from the layer, since a model may ask its convolution for ``stride`` or ``weight``.

    Args:
        layer: the layer.
        norm: its norm.
        place: whether the norm comes after the layer or before it.

    Shapes: the layer's.
    """

    layer: nn.Module
    norm: nn.Module

    def __init__(self, layer: nn.Module, norm: nn.Module, place: Literal["after", "before"]) -> None:
        super().__init__()
        self.layer = layer
        self.norm = norm
        self.place = place

    def forward(self, input: Tensor | None = None, *args: Any, **kwargs: Any) -> Tensor:
        """The normalized output of the layer, or its output for the normalized input."""
        if self.place == "after":
            given = args if input is None else (input, *args)
            y: Tensor = self.norm(self.layer(*given, **kwargs))
        elif input is not None:
            y = self.layer(self.norm(input), *args, **kwargs)
        else:  # the layer calls its input by another name
            name, value = next(iter(kwargs.items()))
            y = self.layer(**{**kwargs, name: self.norm(value)})
        return y

    def __getattr__(self, name: str) -> Any:
        return attribute_of(self, "layer", name)

    def extra_repr(self) -> str:
        """The place of the norm."""
        return f"place={self.place}"
