"""Mean, variance and power of every channel of every layer's output, as a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from normscope.errors import InputError, UnknownNameError
from normscope.nn import module_kinds
from normscope.probes.capture import call, untouched

COLUMNS = ("layer", "kind", "channel", "count", "mean", "variance", "power", "nonfinite", "note")


def moments(model: nn.Module, x: Any, layers: Iterable[str] | None = None) -> pd.DataFrame:
    """The first two moments of each channel of each layer's output, from one forward pass.

    For the values ``y`` of one channel, over batch and positions: mean ``μ = E[y]``, variance ``E[(y − μ)²]`` (that of
    these values themselves, not an estimate of another's: the divisor is their number) and power ``E[y²] = μ² +
    variance``, all accumulated in float64. NaN and infinite values are counted and flow through: the mean of a channel
    that holds NaN is NaN. The model runs once, in the mode it is in; it, its buffers and all random generators are
    afterwards as before.

    Channels are in dimension 1, except of linear layers and of norms over features (``nn.LayerNorm``, ``nn.RMSNorm``),
    where they come last.

    Args:
        model: any module; its convolutions (transposed ones too), linear layers and norms are measured. A norm is a
            module without children that has "norm" in the name of its class.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        layers: names of the layers to measure, as in ``model.named_modules()``; a module of any kind may be named.

    Returns:
        One row a layer and channel, in the model's order: ``layer``, ``kind`` (``"conv2d"``, ``"batchnorm"`` …: the
        class in lower case), ``channel``, ``count`` (how many values: the calls of a layer that runs more than once
        are taken together), ``mean``, ``variance``, ``power``, ``nonfinite`` (how many of the values are NaN or
        infinite), and ``note``. A layer that did not run, or whose output is no tensor, has one row without numbers,
        whose note says so.

    Raises:
        UnknownNameError: ``layers`` names a layer the model does not have.
        InputError: a layer's output has fewer dimensions than its channels need, or their number changes between calls.
    """
    chosen = _chosen(model, layers)
    sums: dict[str, _Sum] = {}
    others: set[str] = set()
    with torch.no_grad(), untouched(model), ExitStack() as hooks:
        for name, layer in chosen.items():

            def hook(layer: nn.Module, args: Any, output: Any, name: str = name) -> None:
                if isinstance(output, Tensor):
                    found = _Sum.of(_channels_first(name, layer, output.detach()))
                    sums[name] = sums[name].merged(name, found) if name in sums else found
                else:
                    others.add(name)

            hooks.callback(layer.register_forward_hook(hook).remove)
        call(model, x)
    notes = {
        name: "the output is no tensor" if name in others else "the layer did not run" for name in chosen
    }
    tables = [
        sums[name].table(name, layer) if name in sums else _without_numbers(name, layer, notes[name])
        for name, layer in chosen.items()
    ]
    if not tables:
        tables = [_without_numbers("", model, "").iloc[:0]]
    return pd.concat(tables, ignore_index=True)


@dataclasses.dataclass(frozen=True)
class _Sum:
    """Of each channel: how many values, their mean, their squared distances from it, their squares, float64 (C,)."""

    count: int
    mean: Tensor
    spread: Tensor
    squares: Tensor
    nonfinite: Tensor

    @classmethod
    def of(cls, values: Tensor) -> _Sum:
        """The sums of values (C, count)."""
        values = values.double()
        mean = values.mean(1)
        spread = (values - mean[:, None]).square_().sum(1)
        return cls(values.shape[1], mean, spread, values.square().sum(1), (~values.isfinite()).sum(1))

    def merged(self, name: str, other: _Sum) -> _Sum:
        """The sums of both sets of values (Chan, Golub & LeVeque 1983)."""
        if len(self.mean) != len(other.mean):
            raise InputError(
                f"layer {name!r} gives {len(self.mean)} channels at one call and {len(other.mean)} at another: "
                "it cannot be measured by channel."
            )
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        step = other.mean - self.mean
        return _Sum(
            count,
            self.mean + step * (other.count / count),
            self.spread + other.spread + step.square() * (self.count * other.count / count),
            self.squares + other.squares,
            self.nonfinite + other.nonfinite,
        )

    def table(self, name: str, layer: nn.Module) -> pd.DataFrame:
        """A row a channel."""
        columns = {
            "layer": name,
            "kind": type(layer).__name__.lower(),
            "channel": pd.array(range(len(self.mean)), dtype="Int64"),
            "count": self.count,
            "mean": self.mean.numpy(force=True),
            "variance": (self.spread / self.count).numpy(force=True),
            "power": (self.squares / self.count).numpy(force=True),
            "nonfinite": self.nonfinite.numpy(force=True),
            "note": "",
        }
        return pd.DataFrame(columns, columns=list(COLUMNS))


def _without_numbers(name: str, layer: nn.Module, note: str) -> pd.DataFrame:
    missing = torch.full((1,), torch.nan, dtype=torch.float64)
    nothing = _Sum(0, missing, missing, missing, torch.zeros(1, dtype=torch.int64))
    return nothing.table(name, layer).assign(channel=pd.array([pd.NA], dtype="Int64"), note=note)


def _chosen(model: nn.Module, layers: Iterable[str] | None) -> dict[str, nn.Module]:
    if layers is None:
        return {name: module for name, module in model.named_modules() if module_kinds.is_measured(module)}
    modules = dict(model.named_modules(remove_duplicate=False))
    names = [layers] if isinstance(layers, str) else list(layers)
    for name in names:
        if name not in modules:
            raise UnknownNameError("layer", name, modules)
    return {name: modules[name] for name in names}


def _channels_first(name: str, layer: nn.Module, output: Tensor) -> Tensor:
    """A layer's output as (C, values)."""
    dim = module_kinds.channel_dim(layer, output.ndim)
    if not 0 <= dim < output.ndim:
        raise InputError(
            f"layer {name!r} gives an output of shape {tuple(output.shape)}: it has no channels."
        )
    return output.movedim(dim, 0).flatten(1) if output.ndim > 1 else output[:, None]
