"""Statistics of the loss's gradient with respect to every parameter, as a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from normscope.errors import UnknownNameError
from normscope.nn import module_kinds
from normscope.probes.backward import LossFunction, differentiable_pass
from normscope.probes.capture import checked_names, named
from normscope.probes.parameter_gradients import (
    NO_STATISTICS,
    Statistics,
    gradients_of,
    values_of,
    watch_none,
)
from normscope.probes.table import Table

STATISTICS = tuple(field.name for field in dataclasses.fields(Statistics))
COLUMNS = ("layer", "parameter", "kind", *STATISTICS, "note")

_PARAMETRIZED = ".parametrizations."


def gradients(
    model: nn.Module,
    x: Any,
    y: Any,
    layers: Iterable[str] | None = None,
    loss: LossFunction = torch.nn.functional.cross_entropy,
) -> pd.DataFrame:
    """Statistics of the gradient ``g = ∂L/∂θ`` of each parameter, from one forward and one backward pass.

    ``L`` is the loss of the batch. The mean, ``E|g|``, the standard deviation, the root mean square, the kurtosis and
    the largest ``|g|`` are over the numbers of one parameter, in float64 (Bjorck et al. 2018, Figs. 2, 16 and 19, read
    some of them by layer). NaN and infinite gradients are counted and flow through. The model runs once, in the mode it
    is in. The model, its buffers, the gradients that its parameters hold and all random generators are afterwards as
    before. Compiled code runs as it is written.

    Args:
        model: any module.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        y: the targets.
        layers: names of modules, as in ``model.named_modules()``: their parameters and those of the modules inside
            them are measured. By default every parameter of the model.
        loss: from the model's output and ``y`` to one number, the loss of the batch.

    Returns:
        One row per parameter, in the model's order or in that of ``layers``; a shared parameter has one row. The
        columns are ``layer`` (the name of the module that holds the parameter), ``parameter`` (its name there:
        ``"weight"``, ``"bias"`` …), ``kind`` (the module's class in lower case), those of
        :class:`~normscope.probes.parameter_gradients.Statistics` (``count``, ``mean``, ``mean_abs``, ``std``, ``rms``,
        ``kurtosis``, ``max_abs``, ``nonfinite``) and ``note``. A parameter that is frozen, or on which the loss does
        not depend, has a row without numbers, whose note says so.

    Raises:
        UnknownNameError: ``layers`` names a module that the model does not have.
        InputError: the model, the loss or the backward pass fails on this batch, or the loss is no single number.
    """
    parameters = list(_parameters(_owners(model, layers)))
    with differentiable_pass(model, x, y, loss, {}, watch_none) as (_, batch_loss):
        found = gradients_of(batch_loss, [parameter.tensor for parameter in parameters])
    rows = [parameter.row(gradient) for parameter, gradient in zip(parameters, found, strict=True)]
    return Table(rows, columns=list(COLUMNS))


@dataclasses.dataclass(frozen=True, eq=False)
class _Parameter:
    """A parameter, the name of its layer, its name there, and the layer's class in lower case."""

    layer: str
    name: str
    kind: str
    tensor: Tensor

    def row(self, gradient: Tensor | None) -> dict[str, Any]:
        """The parameter's row of the table."""
        values, note = values_of(self.tensor, gradient)
        found = NO_STATISTICS if values is None else Statistics.of(values)
        numbers = dataclasses.asdict(found) | {"count": self.tensor.numel()}
        return {"layer": self.layer, "parameter": self.name, "kind": self.kind, **numbers, "note": note}


def _owners(model: nn.Module, layers: Iterable[str] | None) -> Mapping[str, nn.Module]:
    """The modules whose parameters are measured, by name."""
    modules = named(model)
    if layers is None:
        registered = {module_kinds.plain_name(name): module for name, module in model.named_modules()}
        return registered | dict(module_kinds.modules(model))
    chosen: dict[str, nn.Module] = {}
    for name in checked_names(layers):
        if name not in modules:
            raise UnknownNameError("layer", name, modules)
        inside = modules[name].named_modules(prefix=name)
        chosen |= {module_kinds.plain_name(path): module for path, module in inside}
    return chosen


def _parameters(owners: Mapping[str, nn.Module]) -> Iterator[_Parameter]:
    """Every parameter of the modules, once."""
    seen: set[Tensor] = set()
    for owner, module in owners.items():
        for key, tensor in module.named_parameters(recurse=False):
            if tensor not in seen:
                seen.add(tensor)
                # What computes a parametrized weight is a module of its own: its parameters are the layer's.
                layer, mark, inner = f".{owner}".partition(_PARAMETRIZED)
                layer = layer[1:]
                name = f"{mark[1:]}{inner}.{key}" if inner else key
                yield _Parameter(layer, name, type(owners.get(layer, module)).__name__.lower(), tensor)
