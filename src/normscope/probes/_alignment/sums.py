"""The four sums of a layer, by batched products of as many examples or positions as fit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from normscope.probes._alignment.call import Call

TERMS, BY_EXAMPLE, BY_POSITION, GRADIENT = range(4)

_FRACTION = 4
"""Patches and products of a step have at most this fraction of the values of the layer's inputs and outputs."""


def weight_sums(calls: Sequence[Call]) -> Tensor:
    """``Σ|d|``, ``Σ_b|Σ_m d|``, ``Σ_m|Σ_b d|`` and ``|Σ d|`` of every weight of a layer, (4, G, O/G, K) in float64.

    An example's positions are those of all calls, which have the same number of examples. Products have the type of
    the activations (half precision: float32); what they are summed into has float64.
    """
    with torch.no_grad(), _exact(calls[0].x.device.type):
        sums, few = _signed_sums(calls), _few(calls)
        for parts in _steps_by_position(calls, few):
            for part in parts:
                patches, gradients = part.factors(by_position=True)
                sums[TERMS] += torch.bmm(gradients.abs().flatten(1, 2).mT, patches.abs().flatten(1, 2))
        return _completed(sums, calls)


def layer_sums(calls: Sequence[Call]) -> Tensor:
    """The sums of :func:`weight_sums` over all weights of the layer, (4,); a third faster.

    ``Σ|d|`` of all weights together is, at each position, the product of two numbers: the sum of the absolute values in
    the patch, and that of the gradients.
    """
    with torch.no_grad(), _exact(calls[0].x.device.type):
        sums = _signed_sums(calls).flatten(1).sum(1)
        sums[TERMS] = sum(call.absolute_total() for call in calls)
        return _completed(sums, calls)


def _signed_sums(calls: Sequence[Call]) -> Tensor:
    """The three sums of every weight that need its terms' signs; see :func:`_completed` for what is left out."""
    sums = torch.zeros(4, *calls[0].weights, dtype=torch.float64, device=calls[0].x.device)
    passes = []
    if not _has_one_position(calls):
        passes.append((BY_EXAMPLE, _steps_by_example))
    if calls[0].examples > 1 or not passes:
        passes.append((BY_POSITION, _steps_by_position))
    for number, (place, steps) in enumerate(passes):
        for parts in steps(calls, _few(calls)):
            products = _added_products(parts, place == BY_POSITION)
            products = products.view(len(sums[place]), -1, *products.shape[1:])
            if not number:
                sums[GRADIENT] += products.sum(1)
            sums[place] += products.abs_().sum(1)
    sums[GRADIENT].abs_()
    return sums


def _completed(sums: Tensor, calls: Sequence[Call]) -> Tensor:
    """The sums, in which a sum over one position or one example is that of the terms."""
    if _has_one_position(calls):
        sums[BY_EXAMPLE] = sums[TERMS]
    if calls[0].examples == 1:
        sums[BY_POSITION] = sums[TERMS]
    return sums


def _has_one_position(calls: Sequence[Call]) -> bool:
    return sum(call.positions for call in calls) == 1


def _few(calls: Sequence[Call]) -> int:
    return sum(call.x.numel() + call.gradient.numel() for call in calls) // _FRACTION


def _exact(device: str) -> AbstractContextManager[object]:
    """A context in which products have the type of their factors."""
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


@dataclasses.dataclass(frozen=True)
class _Part:
    """Some examples of a call at a block of positions."""

    call: Call
    examples: slice
    block: tuple[slice, ...]

    def factors(self, by_position: bool) -> tuple[Tensor, Tensor]:
        """See :meth:`Call.factors`."""
        return self.call.factors(self.examples, self.block, by_position)


def _added_products(parts: Sequence[_Part], by_position: bool) -> Tensor:
    """The sum over all parts of the products of gradients and patches, (G·N, O/G, K)."""
    total: Tensor | None = None
    for part in parts:
        patches, gradients = part.factors(by_position)
        left, right = gradients.flatten(0, 1).mT, patches.flatten(0, 1)
        total = torch.bmm(left, right) if total is None else total.baddbmm_(left, right)
    assert total is not None
    return total


def _steps_by_example(calls: Sequence[Call], few: int) -> Iterator[Sequence[_Part]]:
    """Some examples with all positions of all calls."""
    first = calls[0]
    groups, outputs, inputs = first.weights
    most = max(call.positions for call in calls)
    count = max(1, few // (groups * inputs * max(outputs, most)))
    for examples in _slices(first.examples, count):
        yield [
            _Part(call, examples, block)
            for call in calls
            for block in _blocks(call.output, few // (groups * inputs * count))
        ]


def _steps_by_position(calls: Sequence[Call], few: int) -> Iterator[Sequence[_Part]]:
    """Some positions of a call with all examples."""
    for call in calls:
        groups, outputs, inputs = call.weights
        for block in _blocks(call.output, few // (groups * inputs * max(outputs, call.examples))):
            points = math.prod(len(range(size)[one]) for size, one in zip(call.output, block, strict=True))
            step = max(1, few // (groups * inputs * points))
            yield [_Part(call, examples, block) for examples in _slices(call.examples, step)]


def _slices(size: int, step: int) -> Iterator[slice]:
    for start in range(0, size, step):
        yield slice(start, start + step)


def _blocks(size: Sequence[int], most: int) -> Iterator[tuple[slice, ...]]:
    """Blocks of at most ``most`` points, or of one, that fill a grid of this size."""
    inner = math.prod(size[1:])
    whole = tuple(slice(None) for _ in size[1:])
    for along in _slices(size[0], max(1, most // inner)):
        for rest in _blocks(size[1:], most) if inner > most and whole else [whole]:
            yield (along, *rest)
