"""The alignment of each layer's weight gradient, as a table, and the terms of one weight."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from torch import nn

from normscope.errors import InputError
from normscope.probes._alignment.call import Call
from normscope.probes._alignment.reading import Found, read_layers
from normscope.probes._alignment.sums import layer_sums, weight_sums
from normscope.probes.backward import LossFunction, weighted_layers
from normscope.probes.table import Table

Place: TypeAlias = int | tuple[int, ...]
"""Of a weight in its layer's weight tensor: in the flattened tensor, or in each dimension."""

SUMS = ("abs_terms", "abs_by_example", "abs_by_position", "abs_gradient")
"""The columns of the four sums: ``Σ|d|``, ``Σ_b|Σ_m d|``, ``Σ_m|Σ_b d|`` and ``|Σ d|``."""

_COLUMNS = (
    "layer",
    "kind",
    "weights",
    "examples",
    "positions",
    *SUMS,
    "cancellation",
    "cancellation_in_space",
    "cancellation_in_batch",
    "nonfinite",
    "note",
)
_WEIGHT_COLUMNS = ("layer", "kind", "weight", "output", "input", "tap", *SUMS, "note")
_WHOLE = ("weights", "examples", "positions", "nonfinite", "weight", "output", "input", "tap")


def gradient_alignment(
    model: nn.Module,
    x: Any,
    y: Any,
    layers: Iterable[str] | None = None,
    loss: LossFunction = torch.nn.functional.cross_entropy,
    weights: bool = False,
) -> pd.DataFrame:
    """How far the terms of each layer's weight gradient agree in sign, over images and over positions.

    The gradient of one weight is a sum over examples b and output positions m (eq. 4):

        ``d_{b,m} = ∂L/∂OUT(b, m) · INPUT(b, m)``,

    where L is the loss of the *batch*, and INPUT(b, m) the value that the weight multiplies at the position m. (With
    batch normalization, the loss of every image depends on every image.) Four sums of absolute values,

        ``Σ_b Σ_m |d|  ≥  Σ_b |Σ_m d|, Σ_m |Σ_b d|  ≥  |Σ_b Σ_m d|``,

    are averaged over the layer's weights and divided by ``B·M``, the number of terms. All four are the same where all
    terms have the same sign. The terms are not written out: the extra memory is at most four times that of the layer's
    inputs and outputs, plus a few values for each of its weights. One forward and one backward pass are run,
    in the mode that the model is in. The model, its buffers, its parameters' ``grad`` and all random generators are
    afterwards as before.

    A transposed convolution has the patches of the convolution that it equals, whose input has zeros between the
    pixels. A linear layer on (N, T, C) has T positions, on (N, C) one. The positions of a layer that runs more than
    once are those of all its calls. Products have the type of the activations (half precision: float32) and are
    added up in float64.

    Args:
        model: any module.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        y: the targets.
        layers: names of convolutions, transposed convolutions and linear layers, as in ``model.named_modules()``; by
            default all.
        loss: from the model's output and ``y`` to one number.
        weights: one row a weight instead of one a layer.

    Returns:
        One row per layer, in the order in which the layers first ran, those that did not run last; or in the order of
        ``layers``. The columns:

        - ``layer``, ``kind`` (the class in lower case);
        - ``weights``, their number; ``examples``, B; ``positions``, M;
        - ``abs_terms``, ``abs_by_example``, ``abs_by_position``, ``abs_gradient``: the four sums, from left to right in
          the formula, averaged and divided;
        - ``cancellation``: ``abs_terms / abs_gradient``, from 1 (all terms agree in sign) to infinity;
        - ``cancellation_in_space``: ``abs_terms / abs_by_example``, over the positions of each example;
        - ``cancellation_in_batch``: ``abs_terms / abs_by_position``, over the examples at each position;
        - ``nonfinite``: number of values of input and output gradient that are NaN or infinite; they flow through;
        - ``note``: why numbers are missing.

        With ``weights``, the columns ``weight`` (place in the flattened weight), ``output``, ``input`` (its channels)
        and ``tap`` (place in the flattened kernel) say which weight a row is of; the four sums are divided by ``B·M``,
        so that their means over a layer's rows are the layer's.

    Raises:
        UnknownNameError: ``layers`` names a layer that the model does not have.
        InputError: a named layer is not a convolution and not linear, the model or the loss fails on this batch, or the
            loss is no single number.

    Source: Bjorck et al. 2018, eq. 4, Table 1 and Fig. 23.
    """
    chosen = weighted_layers(model, layers)
    found = read_layers(model, x, y, loss, chosen, _by_weight if weights else _by_layer)
    names = found if layers is None else chosen
    columns = _WEIGHT_COLUMNS if weights else _COLUMNS
    tables = [_rows(name, chosen[name], found[name], columns) for name in names]
    return Table(pd.concat(tables, ignore_index=True) if tables else None, columns=list(columns))


def gradient_terms(
    model: nn.Module,
    x: Any,
    y: Any,
    layer: str,
    weight: Place | list[Place],
    loss: LossFunction = torch.nn.functional.cross_entropy,
) -> pd.DataFrame:
    """The terms ``d_{b,m} = ∂L/∂OUT(b, m) · INPUT(b, m)`` whose sum is the gradient of a weight (eq. 4).

    Args:
        model: any module, as for :func:`gradient_alignment`.
        x: the model's input.
        y: the targets.
        layer: the layer's name.
        weight: the place of the weight in the layer's weight tensor: a tuple with its index in each dimension, or one
            number for the flattened tensor, as in the column ``weight`` of :func:`gradient_alignment`; or a list of
            places.
        loss: from the model's output and ``y`` to one number.

    Returns:
        One row per weight, example and output position: ``weight`` (its place in the flattened tensor), ``example``,
        ``position`` (its place in the flattened output; the calls of a layer follow one another), ``term``, not divided
        by anything.

    Raises:
        UnknownNameError: the model has no layer of this name.
        InputError: the layer is not a convolution and not linear, it could not be measured, it has no such weight, or
            the model or the loss fails on this batch.

    Source: Bjorck et al. 2018, eq. 4 and Fig. 22.
    """
    chosen = weighted_layers(model, [layer])
    wanted = weight if isinstance(weight, list) else [weight]

    def terms(calls: Sequence[Call]) -> pd.DataFrame:
        places = [_flat(layer, calls[0].weight_shape, place) for place in wanted]
        return pd.concat([_terms(calls, place) for place in places], ignore_index=True)

    found = read_layers(model, x, y, loss, chosen, terms)[layer]
    if found.result is None:
        raise InputError(f"the terms of layer {layer!r} are unknown: {found.why}.")
    return Table(found.result)


def _flat(layer: str, shape: tuple[int, ...], place: Any) -> int:
    """A weight's place in the flattened tensor of this shape, from its place there or its index in each dimension."""
    try:
        index = [operator.index(one) for one in (place if isinstance(place, tuple) else (place,))]
    except TypeError:
        index = []
    sizes = shape if isinstance(place, tuple) else (math.prod(shape),)
    if len(index) != len(sizes) or not all(0 <= one < size for one, size in zip(index, sizes, strict=True)):
        raise InputError(
            f"weight must be a place in the weight of layer {layer!r}, whose shape is {shape}, not {place!r}."
        )
    return int(np.ravel_multi_index(index, sizes))


def _terms(calls: Sequence[Call], weight: int) -> pd.DataFrame:
    terms = torch.cat([call.terms(weight) for call in calls], 1)
    examples, positions = terms.shape
    columns = {
        "weight": weight,
        "example": np.repeat(np.arange(examples), positions),
        "position": np.tile(np.arange(positions), examples),
        "term": terms.flatten().numpy(force=True),
    }
    return pd.DataFrame(columns)


def _by_layer(calls: Sequence[Call]) -> pd.DataFrame:
    examples, positions = calls[0].examples, sum(call.positions for call in calls)
    weights = math.prod(calls[0].weights)
    means = (layer_sums(calls) / (weights * examples * positions)).tolist()
    terms, by_example, by_position, gradient = means
    row = {
        "weights": weights,
        "examples": examples,
        "positions": positions,
        **dict(zip(SUMS, means, strict=True)),
        "cancellation": _over(terms, gradient),
        "cancellation_in_space": _over(terms, by_example),
        "cancellation_in_batch": _over(terms, by_position),
        "nonfinite": sum(call.nonfinite for call in calls),
    }
    return pd.DataFrame([row])


def _over(terms: float, left: float) -> float:
    """How many times larger ``Σ|d|`` is; NaN where every term is 0."""
    return terms / left if left else (math.inf if terms else math.nan)


def _by_weight(calls: Sequence[Call]) -> pd.DataFrame:
    first = calls[0]
    sums = weight_sums(calls) / (first.examples * sum(call.positions for call in calls))
    groups, outputs, inputs = first.weights
    taps = first.geometry.taps
    channels = inputs // taps
    place = torch.arange(groups * outputs * inputs).view(groups, outputs, inputs)
    output = place // inputs
    columns = {"output": output, "input": output // outputs * channels + place % channels}
    columns |= dict(zip(SUMS, sums, strict=True))
    rows = {name: first.as_weights(one).flatten().numpy(force=True) for name, one in columns.items()}
    weight = np.arange(place.numel())
    return pd.DataFrame({"weight": weight, "tap": weight % taps, **rows})


def _rows(name: str, layer: nn.Module, found: Found[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """The rows of one layer; one without numbers if nothing was measured."""
    numbers = pd.DataFrame(index=[0]) if found.result is None else found.result
    rows = numbers.assign(layer=name, kind=type(layer).__name__.lower(), note=found.why)
    whole = [column for column in columns if column in _WHOLE]
    return rows.reindex(columns=list(columns)).astype(dict.fromkeys(whole, "Int64"))
