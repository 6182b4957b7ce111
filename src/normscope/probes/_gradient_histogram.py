"""Histograms of the weight gradients of a model's layers, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, get_args

import pandas as pd
import torch
from torch import nn

from normscope.errors import UnknownNameError
from normscope.nn.arguments import check_count
from normscope.probes.backward import LossFunction
from normscope.probes.layers_gradients import WeightGradient, weight_gradients
from normscope.probes.symmetric_bins import Histogram, Scale
from normscope.probes.table import Table

COLUMNS = ("layer", "kind", "bin", "low", "high", "count", "nonfinite", "note")


def gradient_histogram(
    model: nn.Module,
    x: Any,
    y: Any,
    layers: Iterable[str] | None = None,
    bins: int = 51,
    scale: Scale = "linear",
    loss: LossFunction = torch.nn.functional.cross_entropy,
) -> pd.DataFrame:
    """How many of each layer's weight gradients are in each bin, from one forward and one backward pass.

    The bins of a layer reach from −m to m, where m is its largest finite |∂L/∂w| (1 if all are 0); they are symmetric
    about 0 (Bjorck et al. 2018, Fig. 2). A gradient on the edge of two bins is in the upper one, and m itself is in the
    last. The model, its modes and buffers, the gradients that its parameters hold and all random generators are
    afterwards as before. Compiled code runs as it is written.

    Args:
        model: any module.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        y: the targets.
        layers: names of convolutions, transposed convolutions and linear layers, as in ``model.named_modules()``; by
            default all of them.
        bins: how many bins.
        scale: ``"linear"`` makes bins of equal width. ``"symlog"`` makes bins of equal width in
            ``sign(g)·log10(1 + |g|/t)`` with ``t = m/1000``, so that tails and centre are both resolved.
        loss: from the model's output and ``y`` to one number, the loss of the batch.

    Returns:
        One row per layer and bin: ``layer``, ``kind`` (the class in lower case), ``bin`` (from 0), its edges ``low``
        and ``high``, ``count``, ``nonfinite`` (how many gradients of the layer are NaN or infinite, and in no bin) and
        ``note``. A layer whose weight is frozen, or on which the loss does not depend, has one row without numbers,
        whose note says so.

    Raises:
        UnknownNameError: ``layers`` names a module that the model does not have, or ``scale`` is unknown.
        InputError: ``layers`` names a module of another kind; ``bins`` is no positive whole number; the model, the loss
            or the backward pass fails on this batch; or the loss is no single number.
    """
    check_count("bins", bins)
    if scale not in get_args(Scale):
        raise UnknownNameError("scale", str(scale), get_args(Scale))
    found = weight_gradients(model, x, y, layers, loss)
    tables = [_table(name, gradient, bins, scale) for name, gradient in found.items()]
    return pd.concat(tables, ignore_index=True) if tables else Table(columns=list(COLUMNS))


def _table(name: str, gradient: WeightGradient, bins: int, scale: Scale) -> Table:
    common = {"layer": name, "kind": gradient.kind, "note": gradient.note}
    if gradient.values is None:
        nothing = {"bin": pd.array([pd.NA], dtype="Int64"), "low": torch.nan, "high": torch.nan}
        return Table({**common, **nothing, "count": 0, "nonfinite": 0}, columns=list(COLUMNS))
    found = Histogram.of(gradient.values, bins, scale)
    columns = {
        "bin": pd.array(range(bins), dtype="Int64"),
        "low": found.edges[:-1].numpy(),
        "high": found.edges[1:].numpy(),
        "count": found.counts.numpy(),
        "nonfinite": found.nonfinite,
    }
    return Table({**common, **columns}, columns=list(COLUMNS))
