"""The tensor of a model's output that the loss is computed from, and the loss's gradient with respect to it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from normscope.errors import InputError
from normscope.forward_pass import tensors


def gradient_at_output(output: Any, loss: Tensor) -> tuple[Tensor, Tensor]:
    """The tensor in a model's output on which the loss depends, and ``∂loss/∂output``; the graph is kept.

    Raises:
        InputError: the loss depends on no tensor of the output, on several, or on one without dimensions.
    """
    found = list({id(tensor): tensor for tensor in tensors(output) if tensor.requires_grad}.values())
    reached = []
    if found and loss.requires_grad:
        gradients = torch.autograd.grad(loss, found, retain_graph=True, allow_unused=True)
        reached = [pair for pair in zip(found, gradients, strict=True) if pair[1] is not None]
    if len(reached) != 1:
        raise InputError(
            f"the loss depends on {len(reached)} tensors of the model's output that can be differentiated: it must "
            "depend on exactly one."
        )
    if not reached[0][0].ndim:
        raise InputError("the model's output is a single number: it must have a dimension of examples.")
    return reached[0]


def classes_first(value: Tensor, class_dim: int) -> Tensor:
    """An output (B, …) as (K, B, P): its K classes along ``class_dim``, and P further positions of each example.

    Raises:
        InputError: the output has no such dimension, or it is the one of the examples.
    """
    if value.ndim == 1:
        return value[None, :, None]
    if not -value.ndim < class_dim < value.ndim or class_dim == 0:
        raise InputError(
            f"class_dim must be a dimension of the output {tuple(value.shape)} after the first, not {class_dim!r}."
        )
    return value.movedim(class_dim, 0).flatten(2) if value.ndim > 2 else value.T[:, :, None]
