"""What an operation does as a layer: which of its tensors is the weight, and which input the weight multiplies."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from normscope.probes._autocorrelation.geometry import Geometry
from normscope.probes.weights import Mark, Marks, Weight

_aten = torch.ops.aten
PRODUCTS = {
    _aten.mm: (0, 1),
    _aten.bmm: (0, 1),
    _aten.mv: (0, 1),
    _aten.dot: (0, 1),
    _aten.addmm: (1, 2),
    _aten.baddbmm: (1, 2),
    _aten.addmv: (1, 2),
}
"""Operations that multiply two matrices, vectors or stacks of matrices, and the positions of their factors."""

CONVOLUTIONS = (_aten.convolution, _aten._convolution)
GROUPED = getattr(_aten, "_grouped_mm", None)
"""The product of each expert of a mixture with its own rows; None in versions of torch that do not have it."""

LAYERS = {*PRODUCTS, *CONVOLUTIONS, GROUPED} - {None}
"""Every operation that may be the call of a layer."""

_LINEAR = Geometry((), (), (), ())


@dataclasses.dataclass(frozen=True)
class Use:
    """One call of a layer that is not a module.

    Attributes:
        weight: the parameter.
        kind: ``"linear"``, ``"conv2d"``, ``"convtranspose1d"`` …
        part: which part of the parameter is used; sorted, parts are in the parameter's order.
        x: the input (B, C, *size) of the convolution; (B, G·K) of G linear layers.
        geometry: the convolution, of G groups.
        channels: brings the output to (channels, values).
        bias_follows: whether a view of the output is still one to which the bias may be added, as in
            ``x @ weight.T + bias``; None if the output has its bias.
    """

    weight: Weight
    kind: str
    part: tuple[int, ...]
    x: Tensor
    geometry: Geometry
    channels: Callable[[Tensor], Tensor]
    bias_follows: Callable[[Tensor], bool] | None = None

    def is_bias(self, weight: Weight | None) -> bool:
        """Whether a parameter is a vector of the same module: its bias, if it is added to the output."""
        return weight is not None and weight.owner == self.weight.owner and weight.parameter.ndim == 1


def uses_of(operation: Any, args: Sequence[Any], kwargs: Mapping[str, Any], marks: Marks) -> list[Use]:
    """The layers that an operation is; none if it has no weight, or if it only computes one."""
    if operation in CONVOLUTIONS:
        weight = marks.get(args[1])
        if weight and _is_call(weight, marks.get(args[0]), len(args[0]) > 1):
            return [_convolution(weight, args)]
    elif operation == GROUPED:
        ends = args[2] if len(args) > 2 else kwargs.get("offs")
        weight = marks.get(args[1])
        if weight and ends is not None and args[1].ndim == 3 and _is_call(weight, None, True):
            return _experts(weight, args[0], args[1], ends.tolist())
    elif operation in PRODUCTS:
        first, second = (args[position] for position in PRODUCTS[operation])
        left, right = marks.get(first), marks.get(second)
        if right and right.weight:
            if _is_call(right, left, min(first.ndim, second.ndim) > 1 and first.shape[-2] > 1):
                unbiased = operation not in (_aten.addmm, _aten.baddbmm, _aten.addmv)
                return [_linear(right, first, second, unbiased)]
        elif left and _is_call(left, right, second.ndim > 1 and second.shape[-1] > 1):
            use = _linear(left, _flipped(second), _flipped(first), False)
            return [dataclasses.replace(use, channels=lambda output: use.channels(_flipped(output)))]
    return []


def _is_call(weight: Mark, other: Mark | None, several: bool) -> bool:
    """Whether a product is the call of a layer, and not part of how a weight is computed.

    A spectral norm multiplies a weight by one vector of its own; an orthogonal weight is a product of a matrix with
    itself.
    """
    if weight.weight is None:
        return False
    return other is None or (several and other.weight is not weight.weight)


def _convolution(mark: Mark, args: Sequence[Any]) -> Use:
    """The convolution with an operation's arguments: input, weight, bias, stride, padding, dilation, transposed …"""
    x, weight = args[0], args[1]
    stride, padding, dilation, transposed, output_padding, groups = args[3:9]
    dims = weight.ndim - 2
    geometry = Geometry.of(dims, weight.shape[2:], stride, padding, dilation, groups)
    if transposed:
        x, geometry = geometry.stuffed(x, tuple(output_padding) * (dims if len(output_padding) == 1 else 1))
    kind = f"conv{'transpose' * transposed}{dims}d"
    return Use(
        _weight(mark), kind, (mark.offset,), x, geometry, lambda output: output.movedim(1, 0).flatten(1)
    )


def _linear(mark: Mark, x: Tensor, weight: Tensor, unbiased: bool) -> Use:
    """The linear layer ``x @ weight`` of x (B, K) or (K,); or a stack (S, B, K) of calls of one or several layers."""
    layers, bring = _stacked(mark, weight) if weight.ndim == 3 else (1, lambda stack: stack)
    width = x.shape[-1]
    rows = bring(x).movedim(1, -2).reshape(-1, layers * width) if layers > 1 else x.reshape(-1, width)

    def channels(output: Tensor) -> Tensor:
        if layers > 1:
            return bring(output).permute(1, 3, 0, 2).flatten(2).flatten(0, 1)
        if weight.ndim == 1:
            return output.reshape(1, -1)
        return output[:, None] if output.ndim == 1 else output.movedim(-1, 0).flatten(1)

    def keeps_channels(view: Tensor) -> bool:
        return weight.ndim == 1 or view.shape[-1:] == weight.shape[-1:]

    geometry = dataclasses.replace(_LINEAR, groups=layers)
    part = (mark.offset, width)
    waits = unbiased and layers == 1
    return Use(_weight(mark), "linear", part, rows, geometry, channels, keeps_channels if waits else None)


def _experts(mark: Mark, x: Tensor, weights: Tensor, ends: Sequence[int]) -> list[Use]:
    """A linear layer for each of the stacked weights (S, K, C), which reads its own rows of x (B, K), in order."""
    uses = []
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        if end > start:
            own = Mark(mark.weight, mark.offset + number * weights.stride(0) * weights.element_size())
            use, rows = _linear(own, x[start:end], weights[number], False), slice(start, end)
            channels = lambda output, use=use, rows=rows: use.channels(output[rows])  # noqa: E731
            uses.append(dataclasses.replace(use, channels=channels))
    return uses


def _stacked(mark: Mark, weight: Tensor) -> tuple[int, Callable[[Tensor], Tensor]]:
    """How many layers G a stack of weights (S, K, C) holds, and what brings (S, …) to (S/G, G, …).

    The weights of a stack are repeated where the model's input has more dimensions than the weight.
    """
    size = len(weight)
    times = size if weight.stride(0) == 0 else weight.numel() // max(1, mark.distinct)
    if times > 1 and size % times == 0:
        layers = size // times
        by_call = _split(weight, times, layers)
        if torch.equal(by_call, by_call[:1].expand_as(by_call)):
            return layers, lambda stack: _split(stack, times, layers)
        by_layer = _split(weight, layers, times)
        if torch.equal(by_layer, by_layer[:, :1].expand_as(by_layer)):
            return layers, lambda stack: _split(stack, layers, times).transpose(0, 1)
    return size, lambda stack: stack[None]


def _split(stack: Tensor, *sizes: int) -> Tensor:
    return stack.reshape(*sizes, *stack.shape[1:])


def _flipped(tensor: Tensor) -> Tensor:
    return tensor.mT if tensor.ndim > 1 else tensor


def _weight(mark: Mark) -> Weight:
    assert mark.weight is not None
    return mark.weight
