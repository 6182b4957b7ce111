"""The spectrum of every layer's input autocorrelation, as a table."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import pandas as pd
import torch
from torch import Tensor, nn

from normscope.errors import InputError
from normscope.nn import module_kinds
from normscope.probes._autocorrelation import patch_sum
from normscope.probes._autocorrelation.geometry import Geometry
from normscope.probes.capture import chosen_modules, forward
from normscope.probes.eigenvalues import Spectrum, missing, spectrum_of
from normscope.probes.matrix_free import PatchProduct, extremes_of

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
    "group",
    "note",
)


def spectrum(
    model: nn.Module, x: Any, layers: Iterable[str] | None = None, extremes: bool = False
) -> pd.DataFrame:
    """Eigenvalues, condition, power and learning-rate bound of each layer's input, from one forward pass.

    A layer with input patches ``x_m`` has the autocorrelation matrix ``R = E[x_m x_mᵀ]``, the mean over batch and
    positions. A transposed convolution has the patches of the convolution that it equals, whose input has zeros between
    the pixels. Everything is computed in float64. The model runs once, in the mode it is in; the model, its buffers and
    all random generators are afterwards as before.

    Args:
        model: any module; its convolutions, transposed convolutions and linear layers are measured.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        layers: names of the layers to measure, as in ``model.named_modules()``; by default all layers.
        extremes: find λ_max, and λ_min where it can be known reliably, by Lanczos' method without forming R. The inputs
            of all layers are held until the pass is over.

    Returns:
        One row per layer and group, in the model's order: ``layer``, ``kind`` (``"conv2d"``, ``"linear"`` …), ``dim``
        (K, the number of rows of R), ``positions`` (M, the number of patches of one example, summed over the calls of a
        layer that runs more than once), ``lambda_min`` (0 if below rounding), ``lambda_max``, ``condition``, ``power``
        (tr R / K), ``lr_bound`` = 2/(M λ_max), ``group``, and ``note``: why a number is missing or degenerate.

    Raises:
        UnknownNameError: ``layers`` names a layer that the model does not have.
        InputError: a named layer is not a convolution and not linear.

    Source: Chai et al. 2020, section 2 and Figs. 6 and 8.
    """
    return accumulate(model, [(x,)], layers, extremes)


def accumulate(
    model: nn.Module, batches: Iterable[Any], layers: Iterable[str] | None = None, extremes: bool = False
) -> pd.DataFrame:
    """The spectrum of each layer's input over many batches: R is the mean over the patches of all batches.

    Args:
        model: as for `spectrum`; every pass starts from the model in its present state.
        batches: the model's inputs, one after another; of a tuple or list, such as a loader's ``(x, y)``, the first
            entry.
        layers: as for `spectrum`.
        extremes: as for `spectrum`; the inputs of all batches are held.

    Returns:
        The table of `spectrum`.

    Raises:
        UnknownNameError: ``layers`` names a layer that the model does not have.
        InputError: a named layer is not a convolution and not linear.
    """
    chosen = chosen_layers(model, layers)
    sums = Sums(chosen, extremes)
    for batch in batches:
        sums.start_pass()
        x = batch[0] if isinstance(batch, list | tuple) else batch
        forward(model, x, chosen, sums.add)
    return sums.table()


def chosen_layers(model: nn.Module, layers: Iterable[str] | None) -> dict[str, nn.Module]:
    """The layers to measure, by name: the named ones, or every convolution and linear layer.

    Raises:
        UnknownNameError: the model has no layer of this name.
        InputError: the named layer is not a convolution and not linear.
    """
    chosen = chosen_modules(model, layers, lambda module: isinstance(module, module_kinds.Layer))
    for name, layer in chosen.items():
        if not isinstance(layer, module_kinds.Layer):
            raise InputError(f"layer {name!r} is a {type(layer).__name__}, not a convolution and not linear.")
    return chosen


@dataclasses.dataclass
class _LayerSum:
    total: Tensor | None = None
    products: list[list[PatchProduct]] = dataclasses.field(default_factory=list)
    patches: int = 0
    examples: int = 0
    calls: int = 0
    empty: bool = False

    def rows(self) -> list[Spectrum]:
        if not self.patches:
            return [missing(0, 0, "the batch is empty" if self.empty else "the layer did not run")]
        positions = self.patches / self.examples
        positions = int(positions) if positions.is_integer() else positions
        if self.total is None:
            return [extremes_of(group, self.patches, positions) for group in zip(*self.products, strict=True)]
        return [spectrum_of(matrix, positions) for matrix in self.total / self.patches]


class Sums:
    """The sums over all inputs of each layer so far.

    Args:
        layers: the layers by name.
        extremes: keep the inputs instead of the sum of their patches' products.
    """

    def __init__(self, layers: Mapping[str, nn.Module], extremes: bool) -> None:
        self.layers = dict(layers)
        self.extremes = extremes
        self.sums = {name: _LayerSum() for name in self.layers}

    def start_pass(self) -> None:
        """Begin another forward pass: the calls of a layer within one pass are calls for the same examples."""
        for found in self.sums.values():
            found.calls = 0

    def add(self, name: str, layer: nn.Module, value: Tensor) -> None:
        """Add the input of one call of a layer."""
        found = self.sums[name]
        if not value.numel():
            found.empty = True
            return
        x, geometry = as_convolution(layer, value)
        if not found.calls:
            found.examples += len(value) if value.ndim > geometry.dims + 1 else 1
        found.calls += 1
        if self.extremes:
            groups = torch.chunk(x, geometry.groups, 1)
            found.products.append([PatchProduct(group, geometry) for group in groups])
            found.patches += len(x) * math.prod(geometry.output_size(x.shape[2:]))
            return
        total, patches = patch_sum(x, geometry, torch.float64)
        found.total = total if found.total is None else found.total.add_(total)
        found.patches += patches

    def table(self) -> pd.DataFrame:
        """One row per layer and group."""
        rows = []
        for name, layer in self.layers.items():
            kind = next(
                kind for kind in get_args(module_kinds.Layer) if isinstance(layer, kind)
            ).__name__.lower()
            for group, row in enumerate(self.sums[name].rows()):
                rows.append({"layer": name, "kind": kind, "group": group} | dataclasses.asdict(row))
        return pd.DataFrame(rows, columns=list(COLUMNS))


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
