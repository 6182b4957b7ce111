"""The architectures of the zoo."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from benchmarks.zoo.architecture import Architecture, Shapes
from benchmarks.zoo.images_and_sound import IMAGES_AND_SOUND
from benchmarks.zoo.language import LANGUAGE


def _torch_encoder(norm_first: bool) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        layer = nn.TransformerEncoderLayer(16, 2, 24, 0.0, batch_first=True, norm_first=norm_first)
        return nn.TransformerEncoder(layer, 2, nn.LayerNorm(16), enable_nested_tensor=not norm_first)

    return build


def _torch(name: str, build: Callable[[], nn.Module], shapes: Shapes, training: bool = False) -> Architecture:
    return Architecture(f"nn.{name}", "torch", "layer", build, shapes, training=training)


ARCHITECTURES = (
    *LANGUAGE,
    *IMAGES_AND_SOUND,
    _torch("TransformerEncoder, eval", _torch_encoder(False), {"src": (7, 16)}),
    _torch("TransformerEncoder, train", _torch_encoder(False), {"src": (7, 16)}, training=True),
    _torch("TransformerEncoder, norm first", _torch_encoder(True), {"src": (7, 16)}),
    _torch(
        "Transformer",
        lambda: nn.Transformer(16, 2, 2, 2, 24, 0.0, batch_first=True),
        {"src": (7, 16), "tgt": (5, 16)},
    ),
)
