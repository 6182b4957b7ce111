"""The gradients of layers' weights, taken apart by the class at the output that they come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import cached

from normscope.errors import InputError
from normscope.probes.backward import LossFunction, differentiable_pass, gradients_at, weighted_layers
from normscope.probes.model_outputs import classes_first, gradient_at_output, refuse_other_dim
from normscope.probes.parameter_gradients import NO_STATISTICS, Statistics, values_of, watch_none
from normscope.probes.table import Table

COLUMNS = (
    "layer",
    "kind",
    "class",
    *(field.name for field in dataclasses.fields(Statistics)),
    "norm",
    "note",
)
VALUE_COLUMNS = ("layer", "kind", "class", "index", "gradient", "note")


def class_gradients(
    model: nn.Module,
    x: Any,
    y: Any,
    layers: Iterable[str] | None = None,
    loss: LossFunction = torch.nn.functional.cross_entropy,
    *,
    classes: Iterable[int] | None = None,
    class_dim: int = 1,
    values: bool = False,
) -> pd.DataFrame:
    """The gradient of each layer's weight through one class at a time (Bjorck et al. 2018, App. L, Figs. 20 and 21).

    The loss's gradient with respect to the outputs ``z_bk`` (image b, class k) is set to 0 but for one class, and what
    is left is propagated down to the weights W:

        ``g_k = Σ_b (∂L/∂z_bk) (∂z_bk/∂W)``,   ``Σ_k g_k = ∂L/∂W``.

    L is the loss of the batch. There is one forward pass, and one backward pass for each class. The model runs in the
    mode it is in. The model, its buffers, the gradients that its parameters hold and all random generators are
    afterwards as before. Compiled code runs as it is written. The sums are taken in float64; NaN and infinite gradients
    are counted and flow through.

    Args:
        model: any module; of its output, the loss depends on one tensor (B, K), or (B,) for a single output, or of more
            dimensions.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        y: the targets.
        layers: names of convolutions, transposed convolutions and linear layers; by default all of them. The gradient
            of a layer that is called twice is the sum of both calls', and so is that of a weight that layers share.
        loss: from the model's output and ``y`` to one number, the loss of the batch.
        classes: the classes to measure, by default all.
        class_dim: the dimension of the output that holds its classes.
        values: return every number of every gradient instead of its statistics. A network's whole gradient is large:
            name the layers.

    Returns:
        One row per layer and class, in the model's order or in that of ``layers``: ``layer``, ``kind`` (the class of
        the module in lower case), ``class`` (k), the statistics of the numbers in ``g_k``
        (:class:`~normscope.probes.parameter_gradients.Statistics`: ``count``, ``mean``, ``mean_abs``, ``std``, ``rms``,
        ``kurtosis``, ``max_abs``, ``nonfinite``), ``norm`` (``‖g_k‖``), and ``note``. A layer whose weight is frozen,
        or on which the class does not depend, has a row without numbers, whose note says so.

        With ``values``, one row per layer, class and weight: ``layer``, ``kind``, ``class``, ``index`` (the place in
        the flattened weight), ``gradient`` and ``note``.

    Raises:
        UnknownNameError: ``layers`` names a layer that the model does not have.
        InputError: a named layer is no convolution and not linear; a class does not exist; the model, the loss or the
            backward pass fails on this batch; the loss is no single number, or does not depend on exactly one tensor of
            the output.
    """
    chosen = weighted_layers(model, layers)
    found: dict[tuple[str, int], pd.DataFrame] = {}
    numbers: list[int] = []
    with cached(), differentiable_pass(model, x, y, loss, {}, watch_none) as (output, of_batch):
        outputs, slope = gradient_at_output(output, of_batch)
        numbers = _checked(classes, len(classes_first(slope, class_dim)))
        refuse_other_dim(slope, y, class_dim)
        weights: dict[str, Tensor] = {name: cast(Tensor, layer.weight) for name, layer in chosen.items()}
        for number, gradients in _by_class(outputs, slope, class_dim, numbers, list(weights.values())):
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
                numbers_of, note = values_of(weight, gradient)
                found[name, number] = _rows(weight, numbers_of, note, values)
    tables = [
        found[name, number].assign(layer=name, kind=type(layer).__name__.lower(), **{"class": number})
        for name, layer in chosen.items()
        for number in numbers
    ]
    columns = list(VALUE_COLUMNS if values else COLUMNS)
    return Table(pd.concat(tables, ignore_index=True), columns=columns) if tables else Table(columns=columns)


def _checked(classes: Iterable[int] | None, count: int) -> list[int]:
    """The numbers of the classes to measure, each once."""
    numbers = list(dict.fromkeys(range(count) if classes is None else classes))
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < count:
            raise InputError(f"classes must be numbers from 0 to {count - 1}, not {number!r}.")
    return numbers


def _by_class(
    outputs: Tensor, slope: Tensor, class_dim: int, classes: list[int], weights: list[Tensor]
) -> Iterator[tuple[int, list[Tensor | None]]]:
    """Each class, and the gradients of the weights from the loss's gradient at the outputs of that class alone."""
    moving = [weight for weight in weights if weight.requires_grad]
    for number in classes:
        masked = slope if slope.ndim == 1 else torch.zeros_like(slope)
        if slope.ndim > 1:
            masked.select(class_dim, number).copy_(slope.select(class_dim, number))
        taken = iter(gradients_at(outputs, moving, masked, keep=True))
        yield number, [next(taken) if weight.requires_grad else None for weight in weights]


def _rows(weight: Tensor, gradient: Tensor | None, note: str, values: bool) -> pd.DataFrame:
    """The rows of one layer and class, without their names."""
    if values:
        numbers = np.array([np.nan]) if gradient is None else gradient.flatten().numpy(force=True)
        index = pd.array([pd.NA] if gradient is None else range(len(numbers)), dtype="Int64")
        return pd.DataFrame({"index": index, "gradient": numbers, "note": note})
    statistics = NO_STATISTICS if gradient is None else Statistics.of(gradient)
    row = dataclasses.asdict(statistics) | {"count": weight.numel()}
    return pd.DataFrame([{**row, "norm": statistics.rms * weight.numel() ** 0.5, "note": note}])
