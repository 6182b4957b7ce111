"""Mean, variance and power of every channel of every layer's output, as a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from normscope.errors import InputError, UnknownNameError
from normscope.nn import module_kinds
from normscope.probes.capture import (
    alone,
    call,
    checked_names,
    first_tensor,
    is_wrapped,
    named,
    readable,
    unreadable,
)
from normscope.probes.functional import WeightUses
from normscope.probes.table import Table
from normscope.probes.uses import Use
from normscope.probes.weights import Weight, weight_names

COLUMNS = ("layer", "kind", "channel", "count", "mean", "variance", "power", "nonfinite", "note")


def moments(model: nn.Module, x: Any, layers: Iterable[str] | None = None) -> pd.DataFrame:
    """The first two moments of each channel of each layer's output, from one forward pass.

    For the values ``y`` of one channel, over batch and positions: mean ``μ = E[y]``, variance ``E[(y − μ)²]`` (divided
    by the number of values, not by one less) and power ``E[y²] = μ² + variance``, all accumulated in float64. NaN and
    infinite values are counted and flow through: the mean of a channel that holds NaN is NaN. The model runs once, in
    the mode it is in; the model, its buffers and all random generators are afterwards as before. Compiled code runs as
    it is written.

    :func:`normscope.nn.module_kinds.channel_dim` says which dimension holds the channels: dimension 1, but the last one
    for linear layers and for norms over features (``nn.LayerNorm``, ``nn.RMSNorm`` and classes named after them).

    Args:
        model: any module; its convolutions, transposed convolutions, linear layers and norms are measured, and the
            parameters that it multiplies with its data itself, by the names of :func:`normscope.probes.spectrum`. A
            norm is a framework's norm, or a module without children whose class has "norm" in its name, or one with
            children whose class's name ends so.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        layers: names of the layers to measure, as in ``model.named_modules()``, without the marks of ``torch.compile``;
            a module of any kind may be named.

    Returns:
        One row per layer and channel, in the order in which the layers first ran, those that did not run last; or in
        the order of ``layers``: ``layer``, ``kind`` (the class in lower case: ``"conv2d"``, ``"batchnorm2d"`` …),
        ``channel``, ``count`` (number of values, over all calls of a layer that runs more than once), ``mean``,
        ``variance``, ``power``, ``nonfinite`` (number of values that are NaN or infinite), and ``note``. A layer that
        did not run, or whose output is not a tensor of real numbers, has one row without numbers, whose note says so.
        When printed, the table shows every column.

    Raises:
        UnknownNameError: ``layers`` names a layer that the model does not have.
        InputError: a layer's output has fewer dimensions than its channels need, its number of channels changes
            between calls, or the model fails on this input.
    """
    outputs = _Outputs(model, layers)
    with alone(model), outputs.watching():
        call(model, x)
    return outputs.table()


class _Outputs:
    """The sums over the outputs of each layer of a pass; ``output`` makes what collects them, from a layer's kind."""

    def __init__(
        self, model: nn.Module, layers: Iterable[str] | None, output: Callable[[str], _Output] | None = None
    ) -> None:
        self.model, self.output = model, output or _Output
        self.names = None if layers is None else checked_names(layers)
        self.modules = _modules(model, self.names)
        self.found: dict[str, _Output] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """A context in which the outputs of all layers are added."""
        layers = {name: module for name, module in self.modules.items() if module_kinds.is_layer(module)}
        uses = WeightUses(self.model, layers, covered=_covered, made=self._made, unread=self._unread)
        with ExitStack() as hooks, uses.watching():
            for name, module in self.modules.items():

                def hook(module: nn.Module, args: Any, output: Any, name: str = name) -> None:
                    found = self._of(name, type(module).__name__.lower())
                    if is_wrapped(output):
                        found.why = "the layer ran inside torch.vmap or torch.func"
                        return
                    if isinstance(output, Tensor):
                        uses.later(
                            lambda: found.add(name, _channels_first(name, module, readable(output.detach())))
                        )
                    else:
                        found.why = "the output is not a tensor"

                hooks.callback(module.register_forward_hook(hook).remove)
            yield

    def _made(self, use: Use, output: Tensor) -> None:
        if self.names is None or use.weight.name in self.names:
            self._of(use.weight.name, use.kind).add(use.weight.name, output, use.part)

    def _unread(self, weight: Weight, operation: str) -> None:
        if self.names is None or weight.name in self.names:
            found = self._of(weight.name, weight.kind)
            found.why = f"its weights are used in {operation}, an operation that is not read"

    def _of(self, name: str, kind: str) -> _Output:
        return self.found.setdefault(name, self.output(kind))

    def table(self) -> pd.DataFrame:
        """One row per layer and channel."""
        tables = []
        for name in self.names or dict.fromkeys((*self.found, *self.modules)):
            module = self.modules.get(name)
            unseen = self.output("linear" if module is None else type(module).__name__.lower())
            tables.append(self.found.get(name, unseen).table(name))
        return pd.concat(tables, ignore_index=True) if tables else Table(columns=list(COLUMNS))


def _modules(model: nn.Module, names: Iterable[str] | None) -> dict[str, nn.Module]:
    """The modules to measure: those that are named, or every layer, norm, and module that looks like a norm."""
    modules = named(model)
    if names is None:
        alike = {module for _, module, _ in module_kinds.norm_like(model)}
        every = module_kinds.modules(model)
        return {name: one for name, one in every if module_kinds.is_measured(one) or one in alike}
    functional = dict.fromkeys(weight_names(model))
    for name in names:
        if name not in modules and name not in functional:
            known = [other for other, module in modules.items() if module_kinds.is_measured(module)]
            raise UnknownNameError("layer", name, dict.fromkeys((*known, *functional)))
    return {name: modules[name] for name in names if name in modules}


@dataclasses.dataclass
class _Output:
    """The output of one layer, in parts if parts of its weight are used by themselves."""

    kind: str
    parts: dict[tuple[int, ...], _Sum] = dataclasses.field(default_factory=dict)
    why: str = "the layer did not run"

    def add(self, name: str, values: Tensor, part: tuple[int, ...] = ()) -> None:
        """Add the values (C, count) of one call."""
        if why := unreadable(values):
            self.why = f"the output is {why}"
            return
        found = _Sum.of(values)
        self.parts[part] = self.parts[part].merged(name, found) if part in self.parts else found

    def table(self, name: str) -> pd.DataFrame:
        """One row per channel, or one without numbers that says why."""
        if not self.parts:
            missing = torch.full((1,), torch.nan, dtype=torch.float64)
            nothing = _Sum(0, missing, missing, missing, torch.zeros(1, dtype=torch.int64))
            row = nothing.table(name, self.kind)
            return row.assign(channel=pd.array([pd.NA], dtype="Int64"), note=self.why)
        table = pd.concat([found.table(name, self.kind) for _, found in sorted(self.parts.items())])
        return table.assign(channel=pd.array(range(len(table)), dtype="Int64"))


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

    def table(self, name: str, kind: str) -> Table:
        """One row per channel."""
        columns = {
            "layer": name,
            "kind": kind,
            "channel": pd.array(range(len(self.mean)), dtype="Int64"),
            "count": self.count,
            "mean": self.mean.numpy(force=True),
            "variance": (self.spread / self.count).numpy(force=True),
            "power": (self.squares / self.count).numpy(force=True),
            "nonfinite": self.nonfinite.numpy(force=True),
            "note": "",
        }
        return Table(columns, columns=list(COLUMNS))


def _covered(layer: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a layer's output can be read where it returns; if not, it is read where its weight is used."""
    return not is_wrapped(first_tensor(args, kwargs))


def _channels_first(name: str, layer: nn.Module, output: Tensor) -> Tensor:
    """A layer's output as (C, values)."""
    dim = module_kinds.channel_dim(layer, output.ndim)
    if not 0 <= dim < output.ndim:
        raise InputError(
            f"layer {name!r} has an output of shape {tuple(output.shape)}, which has no dimension of channels."
        )
    return output.movedim(dim, 0).flatten(1) if output.ndim > 1 else output[:, None]
