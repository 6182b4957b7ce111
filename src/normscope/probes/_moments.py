"""Mean, variance and power of every channel of every layer's output, as a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from normscope.errors import InputError
from normscope.nn import module_kinds
from normscope.probes.capture import call, chosen_modules, untouched

COLUMNS = ("layer", "kind", "channel", "count", "mean", "variance", "power", "nonfinite", "note")


def moments(model: nn.Module, x: Any, layers: Iterable[str] | None = None) -> pd.DataFrame:
    """The first two moments of each channel of each layer's output, from one forward pass.

    For the values ``y`` of one channel, over batch and positions: mean ``μ = E[y]``, variance ``E[(y − μ)²]`` (divided
    by the number of values, not by one less) and power ``E[y²] = μ² + variance``, all accumulated in float64. NaN and
    infinite values are counted and flow through: the mean of a channel that holds NaN is NaN. The model runs once, in
    the mode it is in; the model, its buffers and all random generators are afterwards as before.

    :func:`normscope.nn.module_kinds.channel_dim` says which dimension holds the channels: dimension 1, but the last one
    for linear layers and for norms over features (``nn.LayerNorm``, ``nn.RMSNorm`` and classes named after them).

    Args:
        model: any module; its convolutions, transposed convolutions, linear layers and norms are measured. A norm is a
            module without children whose class has "norm" in its name.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        layers: names of the layers to measure, as in ``model.named_modules()``; a module of any kind may be named.

    Returns:
        One row per layer and channel, in the model's order: ``layer``, ``kind`` (the class in lower case:
        ``"conv2d"``, ``"batchnorm2d"`` …), ``channel``, ``count`` (number of values, over all calls of a layer that
        runs more than once), ``mean``, ``variance``, ``power``, ``nonfinite`` (number of values that are NaN or
        infinite), and ``note``. A layer that did not run, or whose output is not a tensor, has one row without numbers,
        whose note says so.

    Raises:
        UnknownNameError: ``layers`` names a layer that the model does not have.
        InputError: a layer's output has fewer dimensions than its channels need, or its number of channels changes
            between calls.
    """
    chosen = chosen_modules(model, layers, module_kinds.is_measured)
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
    tables = []
    for name, layer in chosen.items():
        why = "the output is not a tensor" if name in others else "the layer did not run"
        tables.append(sums[name].table(name, layer) if name in sums else _without_numbers(name, layer, why))
    if not tables:
        tables = [_without_numbers("", model, "").iloc[:0]]
    return pd.concat(tables, ignore_index=True)


@dataclasses.dataclass(frozen=True)
class _Sum:
    """For each channel: mean, sum of squared distances from it, sum of squares, all float64 (C,); number of values."""

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
                f"layer {name!r} has {len(self.mean)} channels in one call and {len(other.mean)} in another: "
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
        """One row per channel."""
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


def _channels_first(name: str, layer: nn.Module, output: Tensor) -> Tensor:
    """A layer's output as (C, values)."""
    dim = module_kinds.channel_dim(layer, output.ndim)
    if not 0 <= dim < output.ndim:
        raise InputError(
            f"layer {name!r} has an output of shape {tuple(output.shape)}, which has no dimension of channels."
        )
    return output.movedim(dim, 0).flatten(1) if output.ndim > 1 else output[:, None]
