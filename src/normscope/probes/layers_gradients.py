"""The gradient of a batch's loss with respect to the weight of each layer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from normscope.nn import module_kinds
from normscope.probes.backward import LossFunction, differentiable_pass, weighted_layers
from normscope.probes.parameter_gradients import gradients_of, values_of, watch_none


@dataclasses.dataclass(frozen=True)
class WeightGradient:
    """The gradient with respect to a layer's weight.

    Attributes:
        layer: the convolution or linear layer.
        values: the gradient, in the weight's shape, float64; ``None`` if there is none.
        note: why there is none; else empty.
    """

    layer: nn.Module
    values: Tensor | None
    note: str

    @property
    def kind(self) -> str:
        """The layer's class in lower case."""
        return type(self.layer).__name__.lower()


def weight_gradients(
    model: nn.Module, x: Any, y: Any, layers: Iterable[str] | None, loss: LossFunction
) -> dict[str, WeightGradient]:
    """The gradient of each layer's weight by the layer's name, from one forward and one backward pass.

    The weight is the one that the layer multiplies with its input: of a parametrized layer, such as one with a
    spectral norm, it is the computed weight. The arguments, the errors and what is left as it was are those of
    :func:`normscope.probes.channel_gradients`.
    """
    chosen = weighted_layers(model, layers)
    used: dict[str, list[Tensor]] = {name: [] for name in chosen}
    with ExitStack() as hooks, parametrize.cached():
        for name, layer in chosen.items():

            def keep(layer: nn.Module, args: Any, output: Any, name: str = name) -> None:
                # An old weight norm computes a new weight for each call.
                if not any(layer.weight is weight for weight in used[name]):
                    used[name].append(_weight(layer))

            hooks.callback(layer.register_forward_hook(keep).remove)
        with differentiable_pass(model, x, y, loss, {}, watch_none) as (_, batch_loss):
            # An attention layer multiplies its projection's weight itself, without calling the projection.
            weights = {name: used[name] or [_weight(layer)] for name, layer in chosen.items()}
            every = [weight for of_layer in weights.values() for weight in of_layer]
            found = iter(gradients_of(batch_loss, every))
            gradients = {name: _sum([next(found) for _ in of_layer]) for name, of_layer in weights.items()}
            return {
                name: WeightGradient(chosen[name], *values_of(weights[name][0], gradient))
                for name, gradient in gradients.items()
            }


def channel_pairs(layer: nn.Module, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Numbers in the shape of a layer's weight as the kernels of its pairs of channels.

    Returns:
        Output channels (pairs,), input channels (pairs,) and kernels (pairs, weights of a kernel), by output channel
        and then by input channel.
    """
    transposed = isinstance(layer, module_kinds.Transposed) or module_kinds.is_transposed_linear(layer)
    groups = int(getattr(layer, "groups", 1))
    first, second = weights.shape[:2]
    # The first dimension counts the channels of all groups, the second those of one group.
    rows = torch.arange(first)[:, None].expand(first, second)
    columns = rows // max(1, first // groups) * second + torch.arange(second)
    outputs, inputs = (columns, rows) if transposed else (rows, columns)
    outputs, inputs = outputs.flatten(), inputs.flatten()
    order = torch.argsort(outputs * first + inputs) if transposed else slice(None)
    kernels = weights.reshape(first * second, math.prod(weights.shape[2:]))
    return outputs[order], inputs[order], kernels[order]


def _weight(layer: nn.Module) -> Tensor:
    return cast("Tensor", layer.weight)


def _sum(gradients: list[Tensor | None]) -> Tensor | None:
    """The sum of the gradients of a layer's calls."""
    there = [gradient for gradient in gradients if gradient is not None]
    return sum(there[1:], start=there[0]) if there else None
