"""The inputs of a model's layers, summed up call by call, and the table that follows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn

from normscope.errors import InputError
from normscope.forward_pass import tensors
from normscope.nn import module_kinds
from normscope.probes._autocorrelation import patch_sum
from normscope.probes._autocorrelation.geometry import Geometry
from normscope.probes.capture import first_tensor, is_quantized, is_wrapped, readable, unreadable
from normscope.probes.eigenvalues import Spectrum, missing, spectrum_of
from normscope.probes.functional import WeightUses
from normscope.probes.matrix_free import PatchProduct, extremes_of
from normscope.probes.table import Table
from normscope.probes.uses import Use
from normscope.probes.weights import Weight

COLUMNS = (
    "layer",
    "kind",
    "dim",
    "positions",
    "lambda_min",
    "lambda_max",
    "condition",
    "power",
    "lr_bound",
    "samples",
    "groups",
    "note",
)


@dataclasses.dataclass(frozen=True)
class Layers:
    """The layers to measure.

    Attributes:
        model: the model.
        modules: those that are modules, by name.
        names: the names that the user asked for, in that order; None for every layer, in the order of the pass.
    """

    model: nn.Module
    modules: Mapping[str, nn.Module]
    names: tuple[str, ...] | None = None

    def include(self, name: str) -> bool:
        """Whether a layer is measured that is not a module."""
        return self.names is None or name in self.names


@dataclasses.dataclass
class _PartSum:
    """The sum over all calls of one layer, or of one part of a parameter that is used as several layers."""

    total: Tensor | None = None
    products: list[list[PatchProduct]] = dataclasses.field(default_factory=list)
    patches: int = 0
    examples: int = 0
    calls: int = 0
    given: torch.dtype = torch.float64

    def add(self, x: Tensor, geometry: Geometry, examples: int, extremes: bool) -> None:
        if not self.calls:
            self.examples += examples
        self.calls += 1
        self.given = x.dtype if x.is_floating_point() else self.given
        if extremes:
            groups = torch.chunk(x, geometry.groups, 1)
            self.products.append([PatchProduct(group, geometry) for group in groups])
            self.patches += len(x) * math.prod(geometry.output_size(x.shape[2:]))
            return
        total, patches = patch_sum(x, geometry, torch.float64)
        self.total = total if self.total is None else self.total.add_(total)
        self.patches += patches

    def rows(self) -> list[Spectrum]:
        positions = self.patches / self.examples
        positions = int(positions) if positions.is_integer() else positions
        if self.total is None:
            return [extremes_of(group, self.patches, positions) for group in zip(*self.products, strict=True)]
        mean = self.total / self.patches
        return [spectrum_of(matrix, positions, self.patches, self.given) for matrix in mean]


@dataclasses.dataclass
class _LayerSum:
    kind: str
    parts: dict[tuple[int, ...], _PartSum] = dataclasses.field(default_factory=dict)
    why: str = "the layer did not run"

    def rows(self) -> list[Spectrum]:
        rows = [row for _, part in sorted(self.parts.items()) for row in part.rows()]
        return rows or [missing(0, 0, 0, self.why)]


class Sums:
    """The sums over all inputs of each layer so far.

    Args:
        layers: the layers.
        extremes: keep the inputs instead of the sum of their patches' products.
    """

    def __init__(self, layers: Layers, extremes: bool) -> None:
        self.layers = layers
        self.extremes = extremes
        self.sums: dict[str, _LayerSum] = {}

    @contextmanager
    def watching(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[None]:
        """A context for one forward pass with these arguments: the inputs of all layers are added.

        Calls of a layer within one pass are calls for the same examples.
        """
        first = next(tensors((args, kwargs)), None)
        examples = first.size(0) if first is not None and first.ndim else 1
        for part in (part for found in self.sums.values() for part in found.parts.values()):
            part.calls = 0

        turned = module_kinds.sequence_first(self.layers.model)
        turned_names = {name for name, one in module_kinds.modules(self.layers.model) if one in turned}
        attended = [examples]  # of the latest call of an attention that takes (sequence, batch, features)

        def found(use: Use) -> None:
            if self.layers.include(use.weight.name):
                batch = examples if use.kind == "linear" else len(use.x)
                batch = attended[-1] if use.weight.owner in turned_names else batch
                self._add(use.weight.name, use.kind, use.part, use.x, use.geometry, batch)

        def unread(weight: Weight, operation: str) -> None:
            if self.layers.include(weight.name):
                self._of(
                    weight.name, weight.kind
                ).why = f"its weights are used in {operation}, an operation that is not read"

        uses = WeightUses(
            self.layers.model, self.layers.modules, covered=_covered, found=found, unread=unread
        )

        def attend(module: Any, args: Any, kwargs: Any) -> None:
            query = first_tensor(args, kwargs)
            attended.append(query.size(1) if query is not None and query.ndim == 3 else 1)

        with ExitStack() as hooks, uses.watching():
            for module in turned:
                if isinstance(module, nn.MultiheadAttention):
                    hooks.callback(module.register_forward_pre_hook(attend, with_kwargs=True).remove)
            for name, layer in self.layers.modules.items():

                def hook(module: Any, args: Any, kwargs: Any, name: str = name) -> None:
                    value = first_tensor(args, kwargs)
                    if value is not None and _covered(module, args, kwargs):
                        with torch.no_grad():
                            x, geometry = as_convolution(module, readable(value.detach()))
                        batch = value.size(0) if value.ndim > geometry.dims + 1 else 1
                        batch = value.size(1) if value.ndim == 3 and module in turned else batch
                        uses.later(lambda: self._add(name, _kind(module), (), x, geometry, batch))

                hooks.callback(layer.register_forward_pre_hook(hook, with_kwargs=True).remove)
            yield

    def _of(self, name: str, kind: str) -> _LayerSum:
        return self.sums.setdefault(name, _LayerSum(kind))

    def _add(
        self, name: str, kind: str, part: tuple[int, ...], x: Tensor, geometry: Geometry, examples: int
    ) -> None:
        layer = self._of(name, kind)
        if not x.numel():
            layer.why = "the batch is empty"
        elif why := unreadable(x):
            layer.why = f"the input is {why}"
        else:
            layer.parts.setdefault(part, _PartSum()).add(x, geometry, examples, self.extremes)

    def table(self, groups: bool) -> Table:
        """One row per layer, or per layer and group."""
        packed = {name: one for name, one in module_kinds.modules(self.layers.model) if is_quantized(one)}
        names = self.layers.names or tuple(dict.fromkeys((*self.sums, *self.layers.modules, *packed)))
        rows = []
        for name in names:
            layer = self.sums.get(name) or _LayerSum(self._kind_of(name))
            if name in packed:
                kind = type(packed[name]).__name__.lower()
                layer = _LayerSum(kind, why="the layer is quantized, which is not read")
            found = layer.rows()
            start = {"layer": name, "kind": layer.kind}
            if groups:
                rows += [
                    start | dataclasses.asdict(row) | {"group": group} for group, row in enumerate(found)
                ]
            else:
                rows.append(start | dataclasses.asdict(summary(found)) | {"groups": len(found)})
        return Table(rows, columns=columns(groups))

    def _kind_of(self, name: str) -> str:
        layer = self.layers.modules.get(name)
        return "linear" if layer is None else _kind(layer)


def columns(groups: bool) -> list[str]:
    """The columns of the table: the number of ``groups``, or the ``group`` of each row."""
    return [("group" if groups and name == "groups" else name) for name in COLUMNS]


def summary(rows: list[Spectrum]) -> Spectrum:
    """The spectrum of a layer from the spectra of its groups: the extremes over all groups, and the mean power."""
    if len(rows) == 1:
        return rows[0]
    tightest = min(rows, key=lambda row: row.lr_bound)
    notes = [row.note for row in rows if row.note]
    note = notes[0] if notes else ""
    if note and notes.count(note) < len(rows):
        others = " (groups=True shows the notes of all)" if len({*notes}) > 1 else ""
        note = f"{len(notes)} of {len(rows)} groups{others}: {note}"
    return Spectrum(
        dim=tightest.dim,
        positions=tightest.positions,
        lambda_min=float(np.min([row.lambda_min for row in rows])),
        lambda_max=float(np.max([row.lambda_max for row in rows])),
        condition=float(np.max([row.condition for row in rows])),
        power=float(np.mean([row.power for row in rows])),
        lr_bound=float(np.min([row.lr_bound for row in rows])),
        samples=min(row.samples or 0 for row in rows),
        note=note,
    )


def as_convolution(layer: nn.Module, value: Tensor) -> tuple[Tensor, Geometry]:
    """A layer's input as (B, C, *size), and the convolution whose patches the layer's weight multiplies."""
    geometry = Geometry.of_layer(layer)
    if not geometry.dims:
        return value.reshape(-1, value.shape[-1]), geometry
    if value.ndim not in (geometry.dims + 1, geometry.dims + 2):
        raise InputError(
            f"a {type(layer).__name__} takes (N, C, *) or (C, *) with {geometry.dims} dimensions after C, "
            f"not an input of shape {tuple(value.shape)}."
        )
    if value.ndim == geometry.dims + 1:
        value = value.unsqueeze(0)
    if isinstance(layer, module_kinds.Transposed):
        return geometry.stuffed(value, [int(p) for p in layer.output_padding])
    return value, geometry


def _covered(layer: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a layer's input can be read from its call; if not, it is read where its weight is used."""
    value = first_tensor(args, kwargs)
    sized = args[1:] or kwargs.get("output_size") is not None
    return not (value is None or is_wrapped(value) or (isinstance(layer, module_kinds.Transposed) and sized))


def _kind(layer: nn.Module) -> str:
    """The class of which a layer is one, in lower case: ``"conv2d"``, ``"linear"`` …"""
    kinds = (kind for kind in get_args(module_kinds.Layer) if isinstance(layer, kind))
    return next(kinds, nn.Linear).__name__.lower()
