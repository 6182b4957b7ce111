"""Calling a model with whatever stands for its input, and an input for a model that comes without one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from normscope.errors import InputError
from normscope.generators import generators_kept
from normscope.nn.kinds import layers, sizes
from normscope.surgery.copies import copied, home

_SIDES = (32, 28, 64, 224, 16, 8, 128, 299)


def call(model: nn.Module, x: Any) -> Any:
    """The model's output; a tuple is passed as its arguments and a mapping as its keyword arguments."""
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


def example(model: nn.Module) -> Tensor:
    """A random input of two samples that the model accepts, as its first layer lets one guess.

    A linear layer tells its features; a convolution its channels, for which squares (lines, cubes) of
    several sizes are tried.

    Raises:
        InputError: where no guess runs through the model.
    """
    error: Exception | None = None
    first = next(iter(layers(model)), None)
    if first is not None:
        wanted, _ = sizes(first[1])
        dims = 0 if isinstance(first[1], nn.Linear) else first[1].weight.ndim - 2
        device, dtype = home(first[1], model)
        trial = copied(model).eval()
        for side in _SIDES if dims else (1,):
            generator = torch.Generator().manual_seed(0)
            x = torch.randn(2, wanted, *(side,) * dims, generator=generator).to(device, dtype)
            try:
                with generators_kept(model):
                    call(trial, x)
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
