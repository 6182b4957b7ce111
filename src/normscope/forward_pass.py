"""Running a model of anybody's: the forms of its input, and the way in which its code is run."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn


def arguments(x: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments and keyword arguments of a model's input: a tuple is the ones, a mapping the others."""
    if isinstance(x, Mapping):
        return (), dict(x)
    return (x if isinstance(x, tuple) else (x,)), {}


def run(model: nn.Module, x: Any) -> Any:
    """The model's output, without gradients; every module is called, as written.

    Args:
        model: any module.
        x: its input; a tuple is its arguments, a mapping its keyword arguments.
    """
    args, kwargs = arguments(x)
    with torch.no_grad(), module_by_module():
        return model(*args, **kwargs)


@contextmanager
def module_by_module() -> Iterator[None]:
    """Run models eagerly, without compilation and without the fast paths of torch's encoders.

    Hooks are not called inside compiled code, and the fast path of an encoder layer calls none of its modules.
    """
    mha = torch.backends.mha
    before = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)
    try:
        # torch.compile needs torch._dynamo, which takes seconds to import: without it, nothing is compiled.
        with torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext():
            yield
    finally:
        mha.set_fastpath_enabled(before)


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
