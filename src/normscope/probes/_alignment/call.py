"""One call of a layer as a convolution: its padded input, the gradient at its output, and the order of its weights."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from normscope.nn import module_kinds
from normscope.probes._autocorrelation.geometry import Geometry
from normscope.probes.capture import is_wrapped, unreadable

_POSITIONS = Geometry((1,), (1,), ((0, 0),), (1,))
"""A linear layer: a convolution of one tap over its positions."""


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a layer.

    Attributes:
        layer: the layer.
        x: the padded input (B, C, *size).
        gradient: ``∂L/∂OUT`` (B, O, *output).
        geometry: of the convolution, for an input that is padded already.
        nonfinite: number of values of input and gradient that are NaN or infinite.
    """

    layer: nn.Module
    x: Tensor
    gradient: Tensor
    geometry: Geometry
    nonfinite: int

    @classmethod
    def of(cls, layer: module_kinds.Layer, x: Tensor, gradient: Tensor, sequence_first: bool) -> Call:
        """The call with an input and an output gradient that :func:`why_unread` accepts."""
        nonfinite = _nonfinite(x) + _nonfinite(gradient)
        dims = module_kinds.spatial_dims(layer)
        if not dims:
            if sequence_first and x.ndim == 3:
                x, gradient = x.transpose(0, 1), gradient.transpose(0, 1)
            x, gradient = (_with_positions(one) for one in (x, gradient))
            return cls(layer, x, gradient, _POSITIONS, nonfinite)
        if x.ndim == dims + 1:
            x, gradient = x[None], gradient[None]
        geometry = Geometry.of_layer(layer)
        if isinstance(layer, module_kinds.Transposed):
            extra = _output_padding(geometry, x.shape[2:], gradient.shape[2:])
            x, geometry = geometry.stuffed(x, extra)
        x = geometry.pad(x).movedim(1, -1).contiguous().movedim(-1, 1)  # patches are copied fastest so
        return cls(layer, x, gradient, geometry.unpadded(), nonfinite)

    @property
    def examples(self) -> int:
        """B."""
        return len(self.x)

    @property
    def output(self) -> tuple[int, ...]:
        """Size of the output in each spatial dimension."""
        return tuple(self.gradient.shape[2:])

    @property
    def positions(self) -> int:
        """Number of output positions."""
        return math.prod(self.output)

    @property
    def weights(self) -> tuple[int, int, int]:
        """(G, O/G, K): groups, output channels of a group, inputs of one output (taps × channels of a group)."""
        groups = self.geometry.groups
        return groups, self.gradient.shape[1] // groups, self.x.shape[1] // groups * self.geometry.taps

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """The shape of the layer's weight."""
        return tuple(self.as_weights(torch.empty(self.weights, device="meta")).shape)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the products: float64 for float64, else float32."""
        double = torch.float64 in (self.x.dtype, self.gradient.dtype)
        return torch.float64 if double else torch.float32

    def factors(self, examples: slice, block: tuple[slice, ...], by_position: bool) -> tuple[Tensor, Tensor]:
        """Patches (G, N, M, K) and gradients (G, N, M, O/G) of some examples at a block of positions.

        N runs over examples and M over positions, or the other way round if ``by_position``.
        """
        dims, groups = self.geometry.dims, self.geometry.groups
        windows = self.geometry.windows(self.x[examples])[(slice(None), slice(None), *block)]
        gradient = self.gradient[(examples, slice(None), *block)]
        places, taps = range(3, 3 + dims), range(3 + dims, 3 + 2 * dims)
        order = (1, *places, 0) if by_position else (1, 0, *places)
        count = len(gradient), math.prod(gradient.shape[2:])
        shape = (groups, *(reversed(count) if by_position else count), -1)
        patches = _by_group(windows, groups).permute(*order, *taps, 2)
        gradients = _by_group(gradient, groups).permute(*order, 2)
        return patches.to(self.dtype).reshape(shape), gradients.to(self.dtype).reshape(shape)

    def absolute_total(self) -> Tensor:
        """``Σ|d|`` over all weights, examples and positions, a float64."""
        dims, groups = self.geometry.dims, self.geometry.groups
        over_patch = tuple(range(2 + dims, 2 + 2 * dims))
        pixels, gradients = (
            _by_group(one, groups).abs().sum(2, dtype=self.dtype).double() for one in (self.x, self.gradient)
        )
        return (self.geometry.windows(pixels).sum(over_patch) * gradients).sum()

    def as_weights(self, values: Tensor) -> Tensor:
        """One value a weight, (G, O/G, K) in the order of :meth:`factors`, in the shape of the layer's weight."""
        by_tap = values.reshape(*values.shape[:2], *self.geometry.kernel, -1)
        if not module_kinds.spatial_dims(self.layer):  # type: ignore[arg-type]
            matrix = by_tap[0, :, 0]
            return matrix.T if module_kinds.is_transposed_linear(self.layer) else matrix
        if not isinstance(self.layer, module_kinds.Transposed):
            return by_tap.movedim(-1, 2).flatten(0, 1)
        return by_tap.movedim(-1, 1).flatten(0, 1).flip(tuple(range(2, 2 + self.geometry.dims)))

    def terms(self, weight: int) -> Tensor:
        """``d_{b,m}`` (B, positions) of one weight, by its place in the flattened weight of the layer."""
        groups, outputs, inputs = self.weights
        places = self.as_weights(torch.arange(groups * outputs * inputs).view(groups, outputs, inputs))
        place = int(places.flatten()[weight])
        output, key = divmod(place, inputs)
        tap, channel = divmod(key, inputs // self.geometry.taps)
        at: tuple[Any, ...] = (..., *np.unravel_index(tap, self.geometry.kernel))
        own = output // outputs * (inputs // self.geometry.taps) + channel
        patches = self.geometry.windows(self.x[:, own : own + 1])[at]
        product = patches[:, 0].to(self.dtype) * self.gradient[:, output].to(self.dtype)
        return product.flatten(1)


def why_unread(layer: module_kinds.Layer, x: Tensor, gradient: Tensor) -> str:
    """Why a call of a layer cannot be measured; empty if it can."""
    for value, what in ((x, "input"), (gradient, "output")):
        if is_wrapped(value):
            return "the layer ran inside torch.vmap or torch.func"
        if value.is_nested or value.layout != torch.strided or value.is_quantized:
            return f"the {what} is nested, sparse or quantized, which is not read"
        if why := unreadable(value):
            return f"the {what} is {why}"
    if not x.numel() or not gradient.numel():
        return "the batch is empty"
    expected = _output_shape(layer, x)
    if expected is not None and tuple(gradient.shape) != expected:
        return f"the output has the shape {tuple(gradient.shape)}, not {expected} as that of a {_kind(layer)}"
    return ""


def _output_shape(layer: module_kinds.Layer, x: Tensor) -> tuple[int, ...] | None:
    """The shape of the output of a layer's class; None for a transposed convolution, whose caller may choose it."""
    if isinstance(layer, module_kinds.Transposed):
        return None
    dims, channels = module_kinds.spatial_dims(layer), module_kinds.sizes(layer)[1]
    if not dims:
        return (*x.shape[:-1], channels)
    lead = x.ndim - dims
    return (*x.shape[: lead - 1], channels, *Geometry.of_layer(layer).output_size(x.shape[lead:]))


def _kind(layer: nn.Module) -> str:
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return next((kind.__name__ for kind in kinds if isinstance(layer, kind)), "Linear")


def _nonfinite(value: Tensor) -> int:
    """The number of values that are NaN or infinite; where the sum is finite there is none, which is fast to see."""
    if value.sum().isfinite():
        return 0
    return value.numel() - int(torch.count_nonzero(value.isfinite()))


def _by_group(value: Tensor, groups: int) -> Tensor:
    """(B, G·C, …) as (B, G, C, …)."""
    return value.reshape(len(value), groups, -1, *value.shape[2:])


def _with_positions(value: Tensor) -> Tensor:
    """Features (B, …, C), (B, C) or (C,) of a linear layer as (B, C, positions)."""
    if value.ndim == 1:
        value = value[None]
    return value.reshape(len(value), -1, value.shape[-1]).movedim(-1, 1)


def _output_padding(geometry: Geometry, size: torch.Size, output: torch.Size) -> list[int]:
    """What a transposed convolution added to its output, in each dimension."""
    each = zip(
        size, output, geometry.kernel, geometry.stride, geometry.padding, geometry.dilation, strict=True
    )
    return [out - ((n - 1) * s - 2 * p + d * (k - 1) + 1) for n, out, k, s, (p, _), d in each]
