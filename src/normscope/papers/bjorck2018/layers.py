"""The paper's numbers of layers, and the names of the networks that it compares.

The stem is layer 1, so even layers are the first and odd layers the second convolution of a residual block.
"""

from __future__ import annotations

from normscope.errors import InputError

NETWORKS = {"none": "unnormalized", "batch": "BN"}
"""Norm specs and the names of the two networks that most figures compare."""


def layer_name(number: int) -> str:
    """The name in ``ResNet.named_modules()`` of the convolution with the paper's number, from 1.

    Raises:
        InputError: for a number below 1.
    """
    if number < 1:
        raise InputError(f"layers are numbered from 1, so there is no layer {number}.")
    if number == 1:
        return "stem.conv"
    return f"blocks.{(number - 2) // 2}.{'first' if number % 2 == 0 else 'second'}.conv"


def layer_number(name: str) -> int:
    """The paper's number of a convolution, from its name."""
    if name.startswith("stem."):
        return 1
    _, block, unit, *_ = name.split(".")
    return 2 * int(block) + (2 if unit == "first" else 3)


def is_second(number: int) -> bool:
    """Whether a layer is the second convolution of its block; the stem is neither first nor second."""
    return number > 1 and number % 2 == 1
