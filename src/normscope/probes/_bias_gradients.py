"""The gradient of a bias at each channel of each layer's output, as a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from normscope.errors import InputError, UnknownNameError
from normscope.nn import module_kinds
from normscope.probes.backward import LossFunction, differentiable_pass
from normscope.probes.capture import checked_names, named, readable, unreadable
from normscope.probes.parameter_gradients import gradients_of
from normscope.probes.snapshot import every_module
from normscope.probes.table import Table

COLUMNS = ("layer", "kind", "channel", "count", "gradient", "nonfinite", "note")


def bias_gradients(
    model: nn.Module,
    x: Any,
    y: Any,
    layers: Iterable[str] | None = None,
    loss: LossFunction = torch.nn.functional.cross_entropy,
) -> pd.DataFrame:
    """The gradient of a bias added to each channel of a layer's output, from one forward and one backward pass.

    For channel ``c`` it is ``Σ_{b,x,y} ∂L/∂OUT(b, c, x, y)``, in float64: the gradient of the layer's own bias where it
    has one, and of β behind a norm (Bjorck et al. 2018, App. I.2, Fig. 19). It exists without a bias, too. Before a
    batch norm it is 0, since the norm subtracts a bias. NaN and infinite gradients are counted and flow through. The
    model, its modes and buffers, the gradients that its parameters hold and all random generators are afterwards as
    before. Compiled code runs as it is written.

    Args:
        model: any module; its convolutions, transposed convolutions, linear layers and norms are measured.
            :func:`normscope.nn.module_kinds.channel_dim` says which dimension holds the channels.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        y: the targets.
        layers: names of modules of any kind, as in ``model.named_modules()``.
        loss: from the model's output and ``y`` to one number, the loss of the batch.

    Returns:
        One row per layer and channel, in the model's order or in that of ``layers``: ``layer``, ``kind`` (the class in
        lower case), ``channel``, ``count`` (how many gradients were summed, over all calls of a layer that runs more
        than once), ``gradient``, ``nonfinite`` (how many of them are NaN or infinite) and ``note``. A layer that no
        gradient reaches has one row without numbers, whose note says so. A gradient reaches what is computed from at
        least one parameter that is not frozen.

    Raises:
        UnknownNameError: ``layers`` names a module that the model does not have.
        InputError: a layer's output has no dimension of channels, or its number of channels changes between calls;
            the model, the loss or the backward pass fails on this batch; or the loss is no single number.
    """
    chosen = _modules(model, layers)
    sums = {name: _Sums(name, type(module).__name__.lower()) for name, module in chosen.items()}

    def seen(name: str, layer: nn.Module, _: Tensor | None, gradient: Tensor) -> None:
        sums[name].add(layer, gradient)

    with differentiable_pass(model, x, y, loss, chosen, seen) as (_, batch_loss):
        gradients_of(batch_loss, list(dict.fromkeys(_parameters(model))))
    tables = [one.table() for one in sums.values()]
    return pd.concat(tables, ignore_index=True) if tables else Table(columns=list(COLUMNS))


def _modules(model: nn.Module, layers: Iterable[str] | None) -> dict[str, nn.Module]:
    """The modules to measure, by name."""
    modules = named(model)
    if layers is None:
        alike = {module for _, module, _ in module_kinds.norm_like(model)}
        every = module_kinds.modules(model)
        return {name: one for name, one in every if module_kinds.is_measured(one) or one in alike}
    names = checked_names(layers)
    for name in names:
        if name not in modules:
            known = [other for other, module in modules.items() if module_kinds.is_measured(module)]
            raise UnknownNameError("layer", name, known)
    return {name: modules[name] for name in names}


def _parameters(model: nn.Module) -> Iterable[Tensor]:
    for module in every_module(model):
        yield from module.parameters(recurse=False)


@dataclasses.dataclass
class _Sums:
    """The sums over the gradients at the output of one layer."""

    name: str
    kind: str
    count: int = 0
    sums: tuple[Tensor, Tensor] | None = None
    note: str = "no gradient reaches its output"

    def add(self, layer: nn.Module, gradient: Tensor) -> None:
        """Add the gradient at the output of one call."""
        if why := unreadable(gradient):
            self.note = f"the gradient is {why}"
            return
        gradient = readable(gradient)
        dim = module_kinds.channel_dim(layer, gradient.ndim)
        if not 0 <= dim < gradient.ndim:
            shape = tuple(gradient.shape)
            raise InputError(
                f"layer {self.name!r} has an output of shape {shape}, which has no dimension of channels."
            )
        values = gradient.movedim(dim, 0).flatten(1) if gradient.ndim > 1 else gradient[:, None]
        found = values.double().sum(1), (~values.isfinite()).sum(1)
        if self.sums is not None:
            channels, before = len(found[0]), len(self.sums[0])
            if channels != before:
                raise InputError(
                    f"layer {self.name!r} has {channels} channels in one call and {before} in another: it cannot be "
                    "measured by channel."
                )
            found = found[0] + self.sums[0], found[1] + self.sums[1]
        self.count += values.shape[1]
        self.sums = found

    def table(self) -> Table:
        """One row per channel, or one without numbers that says why."""
        common = {"layer": self.name, "kind": self.kind, "count": self.count}
        if self.sums is None:
            nothing = {"channel": pd.array([pd.NA], dtype="Int64"), "gradient": torch.nan, "nonfinite": 0}
            return Table({**common, **nothing, "note": self.note}, columns=list(COLUMNS))
        gradient, nonfinite = self.sums
        columns = {
            "channel": pd.array(range(len(gradient)), dtype="Int64"),
            "gradient": gradient.numpy(force=True),
            "nonfinite": nonfinite.numpy(force=True),
            "note": "",
        }
        return Table({**common, **columns}, columns=list(COLUMNS))
