"""The size of the weight gradients between each input and output channel of a layer, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
import torch
from torch import nn

from normscope.probes.backward import LossFunction
from normscope.probes.layers_gradients import WeightGradient, channel_pairs, weight_gradients
from normscope.probes.table import Table

COLUMNS = (
    "layer", "kind", "output_channel", "input_channel", "count", "mean_abs", "mean", "nonfinite", "note"
)  # fmt: skip


def channel_gradients(
    model: nn.Module,
    x: Any,
    y: Any,
    layers: Iterable[str] | None = None,
    loss: LossFunction = torch.nn.functional.cross_entropy,
) -> pd.DataFrame:
    """The mean size of a layer's weight gradients by output and input channel, from one forward and one backward pass.

    For the weights ``w`` of the kernel from input channel ``i`` to output channel ``o``, it is the mean of |∂L/∂w| over
    the kernel (Bjorck et al. 2018, Fig. 7, without the sum's constant factor), in float64. A linear layer's channels
    are its features, and its kernels have one weight. In a grouped convolution only the pairs of channels within a
    group have weights, and a row. NaN and infinite gradients are counted and flow through. The model, its modes and
    buffers, the gradients that its parameters hold and all random generators are afterwards as before. Compiled code
    runs as it is written.

    Args:
        model: any module.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        y: the targets.
        layers: names of convolutions, transposed convolutions and linear layers, as in ``model.named_modules()``; by
            default all of them. The table has a row for each pair of channels: name the layers of a wide model.
        loss: from the model's output and ``y`` to one number, the loss of the batch.

    Returns:
        One row per layer and pair of channels, by output channel and then by input channel: ``layer``, ``kind`` (the
        class in lower case), ``output_channel``, ``input_channel``, ``count`` (weights of the kernel), ``mean_abs``,
        ``mean``, ``nonfinite`` (how many gradients of the kernel are NaN or infinite) and ``note``. A layer whose
        weight is frozen, or on which the loss does not depend, has one row without numbers, whose note says so.

    Raises:
        UnknownNameError: ``layers`` names a module that the model does not have.
        InputError: ``layers`` names a module of another kind; the model, the loss or the backward pass fails on this
            batch; or the loss is no single number.
    """
    found = weight_gradients(model, x, y, layers, loss)
    tables = [_table(name, gradient) for name, gradient in found.items()]
    return pd.concat(tables, ignore_index=True) if tables else Table(columns=list(COLUMNS))


def _table(name: str, gradient: WeightGradient) -> Table:
    common = {"layer": name, "kind": gradient.kind, "note": gradient.note}
    if gradient.values is None:
        nothing = pd.array([pd.NA], dtype="Int64")
        row = {"output_channel": nothing, "input_channel": nothing, "count": 0, "mean_abs": torch.nan}
        return Table({**common, **row, "mean": torch.nan, "nonfinite": 0}, columns=list(COLUMNS))
    outputs, inputs, kernels = channel_pairs(gradient.layer, gradient.values)
    columns = {
        "output_channel": pd.array(outputs.numpy(), dtype="Int64"),
        "input_channel": pd.array(inputs.numpy(), dtype="Int64"),
        "count": kernels.shape[1],
        "mean_abs": kernels.abs().mean(1).numpy(force=True),
        "mean": kernels.mean(1).numpy(force=True),
        "nonfinite": (~kernels.isfinite()).sum(1).numpy(force=True),
    }
    return Table({**common, **columns}, columns=list(COLUMNS))
