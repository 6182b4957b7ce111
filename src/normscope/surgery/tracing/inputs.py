"""Running a model on any form of input, and guessing an input for a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from normscope.errors import InputError
from normscope.generators import generators_kept
from normscope.nn.module_kinds import layers, sizes, spatial_dims
from normscope.surgery.copies import copied, device_and_dtype

_SIDES = (32, 28, 64, 224, 16, 8, 128, 299)


def run(model: nn.Module, x: Any) -> Any:
    """The model's output, without gradients.

    Args:
        model: any module.
        x: its input; a tuple is its arguments, a mapping its keyword arguments.
    """
    with torch.no_grad():
        if isinstance(x, Mapping):
            return model(**x)
        return model(*x) if isinstance(x, tuple) else model(x)


def tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in nested lists, tuples, mappings and dataclasses."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from tensors(getattr(value, field.name))


def guessed_input(model: nn.Module) -> Tensor:
    """A random input of two samples that the model accepts, guessed from its first layer.

    A linear layer gives the number of features. A convolution gives the number of channels; squares (lines, cubes) of
    several sizes are tried.

    Raises:
        InputError: if no guess runs through the model.
    """
    error: Exception | None = None
    first = next((layer for _, layer in layers(model)), None)
    if first is not None:
        width, _ = sizes(first)
        dims = spatial_dims(first)
        device, dtype = device_and_dtype(first, model)
        trial = copied(model).eval()
        for side in _SIDES if dims else (1,):
            generator = torch.Generator().manual_seed(0)
            x = torch.randn(2, width, *(side,) * dims, generator=generator).to(device, dtype)
            try:
                with generators_kept(model):
                    run(trial, x)
            except Exception as raised:  # whatever a user's model raises, the guess was wrong
                error = raised
            else:
                return x
    last = (
        f" (the last raised {type(error).__name__}: {str(error).splitlines()[0]})" if str(error or "") else ""
    )
    raise InputError(
        f"no input that {type(model).__name__} accepts could be guessed{last}: give an example input x."
    )
