"""What every layer of a model multiplies, and what comes out: by hooks, and by wrapping torch's functions."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.conv import _ConvNd

from benchmarks.zoo.brute_force import channel_dim, first, hooked
from benchmarks.zoo.subject import is_layer, outputs

_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")


@dataclasses.dataclass(frozen=True)
class Use:
    """One call of a layer or norm, or one use of a weight without its module.

    Attributes:
        patches: the vectors that the weight multiplies, (groups, M, K); empty for a norm.
        values: the output by channel, (C, values).
        type: the type of the input.
        part: which part of the weight was used, if it was not used as a whole.
    """

    patches: Tensor
    values: Tensor
    type: torch.dtype
    part: int = 0


_Found = dict[tuple[str, bool], list[Use]]
"""The uses by name, and whether a module was called, or a function that uses a weight."""


def uses(model: nn.Module, x: Any, names: Mapping[str, nn.Module], training: bool) -> dict[str, list[Use]]:
    """The calls of the named modules, and the uses of weights without their modules, in the order of the first ones.

    A weight that a function of ``torch.nn.functional`` uses has the name of its parameter, without "weight".
    """
    model = copy.deepcopy(model).train(training)
    found: _Found = {}

    def hook(name: str) -> Callable[..., None]:
        def keep(module: nn.Module, args: Any, kwargs: Any, output: Tensor) -> None:
            x = first(args, kwargs)
            rows = layer_patches(module, x) if is_layer(module) else torch.empty(0)
            use = Use(rows, by_channel(output, channel_dim(module, output.ndim)), x.dtype)
            found.setdefault((name, True), []).append(use)

        return keep

    with (
        torch.no_grad(),
        _unfused(),
        hooked(model, {name: hook(name) for name in names}),
        _wrapped(model, found),
    ):
        outputs(model, x)
    called = {name for name, by_module in found if by_module}
    own = {name for names in _owners(model).values() if called & set(names) for name in names}
    return {name: calls for (name, by_module), calls in found.items() if by_module or name not in own}


@contextmanager
def _unfused() -> Iterator[None]:
    """A context without the fused kernel of attention, which calls none of torch's functions."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def _wrapped(model: nn.Module, found: _Found) -> Iterator[None]:
    """A context in which the functions record which weights they use."""
    owners = _owners(model)

    def add(weight: Tensor, rows: Tensor, output: Tensor, dim: int) -> None:
        if names := owners.get(weight.untyped_storage().data_ptr()):
            use = Use(rows, by_channel(output, dim), weight.dtype, int(weight.storage_offset()))
            found.setdefault((names[0], False), []).append(use)

    def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        output: Tensor = original["linear"](input, weight, bias)
        add(weight, vectors(input), output, output.ndim - 1)
        return output

    def convolution(name: str) -> Callable[..., Tensor]:
        def call(
            input: Tensor, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any
        ) -> Tensor:
            output: Tensor = original[name](input, weight, bias, *args, **kwargs)
            add(weight, patches(input, weight, *args, **kwargs), output, 1)
            return output

        return call

    def matmul(left: Tensor, right: Tensor) -> Tensor:
        output: Tensor = original["matmul"](left, right)
        if left.ndim == 2 and right.ndim > 1:
            add(left, vectors(right.mT), output, output.ndim - 2)
        if right.ndim == 2:
            add(right, vectors(left), output, output.ndim - 1)
        return output

    original: dict[str, Callable[..., Tensor]] = {
        name: getattr(F, name) for name in ("linear", *_CONVOLUTIONS)
    } | {"matmul": Tensor.__matmul__}
    functions: dict[str, Any] = {"linear": linear, **{name: convolution(name) for name in _CONVOLUTIONS}}
    with mock.patch.multiple(F, **functions), mock.patch.object(Tensor, "__matmul__", matmul):
        yield


def _owners(model: nn.Module) -> dict[int, list[str]]:
    """The names of each parameter, by its memory."""
    found: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names = found.setdefault(parameter.untyped_storage().data_ptr(), [])
        names.append(name.removesuffix("weight").rstrip("._"))
    return found


def by_channel(output: Tensor, dim: int) -> Tensor:
    """A copy of an output as (C, values), in float64: the model may change the output itself later."""
    return output.clone().double().movedim(dim, 0).flatten(1)


def vectors(x: Tensor) -> Tensor:
    """The vectors (1, M, K) that the weight of a linear layer multiplies: a copy in float64."""
    return x.clone().double().reshape(1, -1, x.shape[-1])


def layer_patches(layer: nn.Module, x: Tensor) -> Tensor:
    """The vectors (groups, M, K) that a layer's weight multiplies, in float64."""
    if not isinstance(layer, _ConvNd):
        return vectors(x)
    padding: Any = layer.padding
    if layer.padding_mode != "zeros":
        x, padding = F.pad(x, layer._reversed_padding_repeated_twice, layer.padding_mode), 0
    return patches(x, layer.weight, layer.stride, padding, layer.dilation, layer.groups)


def patches(
    x: Tensor, weight: Tensor, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """The vectors (groups, M, K) that the weight of a convolution multiplies, in float64."""
    dims = weight.ndim - 2
    sizes, steps, gaps = weight.shape[2:], _each(stride, dims), _each(dilation, dims)
    whole = [gap * (size - 1) for size, gap in zip(sizes, gaps, strict=True)]
    if padding == "same":
        pads = [(width // 2, width - width // 2) for width in whole]
    else:
        pads = [(pad, pad) for pad in _each(0 if padding == "valid" else padding, dims)]
    x = F.pad(
        x.double() if x.ndim == dims + 2 else x.double()[None], [n for pair in reversed(pads) for n in pair]
    )
    for axis, (width, step, gap) in enumerate(zip(whole, steps, gaps, strict=True), 2):
        x = x.unfold(axis, width + 1, step)[..., ::gap]
    x = x.movedim(1, 1 + dims)  # (N, *positions, C, *kernel)
    return x.reshape(-1, groups, x[0].flatten(dims).shape[-1] // groups).transpose(0, 1)


def _each(value: Any, dims: int) -> tuple[int, ...]:
    """One number per dimension."""
    return (value,) * dims if isinstance(value, int) else tuple(value)
