"""An architecture of the zoo, and how transformers' models become one."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

VOCABULARY = 64

Config = dict[str, Any]
"""Settings of one of transformers' configurations."""

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of one example of each keyword argument: tokens if its name ends in ``ids``, else normal values."""


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A model and its inputs.

    Attributes:
        name: the name in the table.
        kind: encoder, decoder, encoder-decoder, state space, vision, audio, or text and vision.
        norms: what every norm of the model is: ``"layer"``, ``"rms"`` or ``"batch"``; else ``"mixed"``.
        build: makes the model.
        shapes: the inputs.
        causal: the argument whose last token must not change the logits of earlier tokens; empty if there is none.
        training: whether surgery gets the model in training mode.
    """

    name: str
    kind: str
    norms: str
    build: Callable[[], nn.Module]
    shapes: Shapes
    causal: str = ""
    training: bool = False


_TOKENS: Shapes = {"input_ids": (7,)}
_BOTH: Shapes = {"input_ids": (7,), "decoder_input_ids": (5,)}
_IMAGES: Shapes = {"pixel_values": (3, 32, 32)}
_SOUND: Shapes = {"input_values": (400,)}

_SHAPES: Mapping[str, tuple[Shapes, str]] = {
    "encoder": (_TOKENS, ""),
    "decoder": (_TOKENS, "input_ids"),
    "state space": (_TOKENS, "input_ids"),
    "encoder-decoder": (_BOTH, "decoder_input_ids"),
    "vision": (_IMAGES, ""),
    "audio": (_SOUND, "decoder_input_ids"),
    "text and vision": (_TOKENS | _IMAGES, ""),
}
"""The inputs of each kind, and the argument that is causal if the model has it."""


def of_transformers(
    family: str, head: str, kind: str, norms: str, name: str = "", shapes: Shapes | None = None, **config: Any
) -> Architecture:
    """One of transformers' models: its classes are named ``family`` + ``Config`` and ``family`` + ``head``."""

    def build() -> nn.Module:
        transformers = importlib.import_module("transformers")
        settings = getattr(transformers, f"{family}Config")(**config)
        for part in (settings, *(getattr(settings, name) for name in settings.sub_configs)):
            _without_randomness(part)
        model: nn.Module = getattr(transformers, f"{family}{head}")(settings)
        return model

    default, causal = _SHAPES[kind]
    shapes = default if shapes is None else shapes
    return Architecture(name or family, kind, norms, build, shapes, causal if causal in shapes else "")


def _without_randomness(config: Any) -> None:
    """Switch off dropout, masking and caches, so that the output in training mode depends on the input alone."""
    for name, value in vars(config).items():
        random = "drop" in name or name in ("mask_time_prob", "mask_feature_prob")
        if random and isinstance(value, float):
            setattr(config, name, 0.0)
    if hasattr(config, "use_cache"):
        config.use_cache = False
