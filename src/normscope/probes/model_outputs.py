"""The tensor of a model's output that the loss is computed from, and the loss's gradient with respect to it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from normscope.errors import InputError
from normscope.forward_pass import tensors
from normscope.probes.backward import gradients_at


def gradient_at_output(output: Any, loss: Tensor) -> tuple[Tensor, Tensor]:
    """The tensor in a model's output on which the loss depends, and ``∂loss/∂output``; the graph is kept.

    Raises:
        InputError: the loss depends on no tensor of the output, on several, or on one without dimensions or of
            nested ones; or the gradient cannot be computed.
    """
    found = list({id(tensor): tensor for tensor in tensors(output) if tensor.requires_grad}.values())
    gradients = gradients_at(loss, found, keep=True)
    reached = [
        (tensor, gradient) for tensor, gradient in zip(found, gradients, strict=True) if gradient is not None
    ]
    if len(reached) != 1:
        raise InputError(
            f"the loss depends on {len(reached)} tensors of the model's output that can be differentiated: it must "
            "depend on exactly one."
        )
    if reached[0][0].is_nested:
        raise InputError("the model's output is nested: it must be a tensor with a dimension of examples.")
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


def refuse_other_dim(value: Tensor, y: Any, class_dim: int) -> None:
    """Refuse a dimension of classes that the labels contradict, where another one fits them.

    Raises:
        InputError: naming the dimension that fits.
    """
    if not isinstance(y, Tensor) or y.is_floating_point() or y.is_complex() or value.ndim < 2:
        return
    without = {dim: value.shape[:dim] + value.shape[dim + 1 :] for dim in range(1, value.ndim)}
    fitting = [dim for dim, shape in without.items() if shape == y.shape]
    if fitting and class_dim % value.ndim not in fitting:
        raise InputError(
            f"labels of shape {tuple(y.shape)} do not fit an output {tuple(value.shape)} with its classes in dimension "
            f"{class_dim}: give class_dim={fitting[0]}."
        )
