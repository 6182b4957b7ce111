"""The gradient of every example's own loss with respect to every output of the network, as a table."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from normscope.errors import UnknownNameError
from normscope.probes.backward import LossFunction, batch_loss, differentiable
from normscope.probes.capture import alone, copied, output_of
from normscope.probes.model_outputs import classes_first, gradient_at_output, refuse_other_dim
from normscope.probes.table import Table

COLUMNS = ("image", "position", "class", "label", "output", "gradient")

Reduction = Literal["mean", "sum"]


def output_gradients(
    model: nn.Module,
    x: Any,
    y: Any,
    loss: LossFunction = torch.nn.functional.cross_entropy,
    *,
    reduction: Reduction = "mean",
    class_dim: int = 1,
    by_label: bool = False,
) -> pd.DataFrame:
    """``∂L_b/∂z_bj`` for every image b and output j (Bjorck et al. 2018, Fig. 4), from one forward pass.

    ``L_b`` is the loss of image b alone, and ``z_bj`` its output j. If the loss of the batch is the mean of the images'
    losses, ``L = Σ_b L_b/B``, then ``∂L_b/∂z_bj = B ∂L/∂z_bj``: each image's loss depends on its own outputs only. With
    a batch norm, every image's loss depends on every image's *activations*; that does not matter here, since outputs
    are what the loss is computed from. For the cross-entropy of logits the gradient is ``softmax(z_b)_j`` less 1 at the
    label.

    Nothing is differentiated but the loss, so frozen models can be measured. NaN and infinite gradients are shown. The
    model runs once, in the mode it is in; the model, its buffers and all random generators are afterwards as before.
    Compiled code runs as it is written.

    Args:
        model: any module whose output is a tensor (B, K), (B,) for a single output, or has more dimensions; or holds
            such a tensor in tuples, lists or dictionaries, if the loss depends on that one alone.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        y: the targets.
        loss: from the model's output and ``y`` to one number, the mean or the sum of the images' losses.
        reduction: ``"mean"`` or ``"sum"``, what the loss takes over images and positions. Of a mean, gradients are
            multiplied by the number of images, and of positions if there are any.
        class_dim: the dimension of the output that holds its K classes.
        by_label: sort the images by their label; images of one label stay in the batch's order.

    Returns:
        One row per image, position and class: ``image`` (its place in the batch), ``position`` (among those that an
        output of more than two dimensions has; else 0), ``class`` (j), ``label`` (the integer target there; missing for
        targets of another kind), ``output`` (z) and ``gradient``.

    Raises:
        UnknownNameError: for another reduction.
        InputError: the model or the loss fails on this batch, the loss is no single number or does not depend on
            exactly one tensor of the output, or the output has no dimension ``class_dim``.
    """
    if reduction not in get_args(Reduction):
        raise UnknownNameError("reduction", reduction, get_args(Reduction))
    with alone(model):
        found = output_of(model, x)
        with differentiable():
            output = tree_map(_leaf, found)
            logits, gradient = gradient_at_output(output, batch_loss(loss, output, copied(y)))
        values = classes_first(logits.detach(), class_dim).double()
        refuse_other_dim(logits, y, class_dim)
        slopes = classes_first(gradient, class_dim).double()
    classes, images, positions = values.shape
    image, position, label = (
        np.repeat(column, classes)
        for column in (
            np.repeat(np.arange(images), positions),
            np.tile(np.arange(positions), images),
            _labels(y, images * positions),
        )
    )
    columns = {
        "image": image,
        "position": position,
        "class": np.tile(np.arange(classes), images * positions),
        "label": pd.array(label, dtype="Int64"),
        "output": _by_image(values),
        "gradient": _by_image(slopes) * (images * positions if reduction == "mean" else 1),
    }
    table = Table(columns, columns=list(COLUMNS))
    return table.sort_values("label", kind="stable", ignore_index=True) if by_label else table


def _leaf(value: Any) -> Any:
    """An output that a loss can be differentiated by, without the model that made it."""
    if not isinstance(value, Tensor) or not (value.is_floating_point() or value.is_complex()):
        return value
    return value.detach().clone().requires_grad_()


def _labels(y: Any, count: int) -> np.ndarray:
    """The integer targets, one for each image and position; missing ones if the targets are something else."""
    if isinstance(y, Tensor) and y.numel() == count and not (y.is_floating_point() or y.is_complex()):
        return y.flatten().long().numpy(force=True).astype(object)
    return np.full(count, pd.NA, dtype=object)


def _by_image(values: Tensor) -> np.ndarray:
    """Values (K, B, P) in the order of the table's rows."""
    found: np.ndarray = values.permute(1, 2, 0).flatten().numpy(force=True)
    return found
