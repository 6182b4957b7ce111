"""The spectrum of every layer's input autocorrelation, as a table."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from normscope.errors import InputError, UnknownNameError
from normscope.probes._autocorrelation import patch_sum
from normscope.probes._autocorrelation.geometry import Geometry
from normscope.probes.capture import forward
from normscope.probes.eigenvalues import Spectrum, missing, spectrum_of
from normscope.probes.matrix_free import PatchProduct, extremes_of

LAYERS = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.Linear,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)

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

    For a layer with input patches ``x_m`` the autocorrelation matrix is ``R = E[x_m x_mᵀ]`` over batch and
    positions. A transposed convolution's patches are those of the convolution it equals, of its input with
    zeros between the pixels. Everything is computed in float64. The model runs once, in the mode it is in;
    it, its buffers and all random generators are afterwards as before.

    Args:
        model: any module; its convolutions and linear layers are measured.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        layers: names of layers as in ``model.named_modules()``; all of them by default.
        extremes: find λ_max, and λ_min where it can be had reliably, by Lanczos' method without forming R.
            The
            inputs of all layers are held until the pass is over.

    Returns:
        One row a layer and group, in the model's order: ``layer``, ``kind`` (``"conv2d"``, ``"linear"`` …),
        ``dim`` (K, the rows of R), ``positions`` (M, the patches of one example, summed over the calls of a
        layer that runs more than once), ``lambda_min`` (0 where below rounding), ``lambda_max``,
        ``condition``, ``power`` (tr R / K), ``lr_bound`` = 2/(M λ_max), ``group``, and ``note``: why a number
        is missing or degenerate.

    Raises:
        UnknownNameError: ``layers`` names a layer the model does not have.
        InputError: a named layer is no convolution and no linear layer.

    Source: Chai et al. 2020, section 2 and Figs. 6 and 8.
    """
    return accumulate(model, [(x,)], layers, extremes)


def accumulate(
    model: nn.Module, batches: Iterable[Any], layers: Iterable[str] | None = None, extremes: bool = False
) -> pd.DataFrame:
    """The spectrum of each layer's input over many batches: R is the mean over all their patches.

    Args:
        model: as for `spectrum`; every pass starts from the model as it is.
        batches: the model's inputs, one after another; of a tuple or list, as loaders give them, the first entry.
        layers: as for `spectrum`.
        extremes: as for `spectrum`; the inputs of all batches are then held.

    Returns:
        The table of `spectrum`.

    Raises:
        UnknownNameError: ``layers`` names a layer the model does not have.
        InputError: a named layer is no convolution and no linear layer.
    """
    chosen = chosen_layers(model, layers)
    sums = Sums(chosen, extremes)
    for batch in batches:
        sums.start_pass()
        x = batch[0] if isinstance(batch, list | tuple) else batch  # a loader's (x, y)
        forward(model, x, chosen, sums.add)
    return sums.table()


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
    """What has been seen of each layer's input so far.

    Args:
        layers: the layers by name.
        extremes: keep the inputs instead of their autocorrelation.
    """

    def __init__(self, layers: Mapping[str, nn.Module], extremes: bool) -> None:
        self.layers = dict(layers)
        self.extremes = extremes
        self.sums = {name: _LayerSum() for name in self.layers}

    def start_pass(self) -> None:
        """Another forward pass: its calls are calls for the same examples."""
        for found in self.sums.values():
            found.calls = 0

    def add(self, name: str, layer: nn.Module, value: Tensor) -> None:
        """Take in the input of one call."""
        found = self.sums[name]
        if not value.numel():
            found.empty = True
            return
        x, geometry = as_convolution(layer, value)
        if not found.calls:
            found.examples += len(value) if value.ndim > geometry.dims + 1 else 1
        found.calls += 1
        if self.extremes:
            groups = torch.chunk(x.detach(), geometry.groups, 1)
            found.products.append(
                [PatchProduct(group, dataclasses.replace(geometry, groups=1)) for group in groups]
            )
            found.patches += len(x) * math.prod(geometry.output_size(x.shape[2:]))
            return
        total, patches = patch_sum(x, geometry, torch.float64)
        found.total = total if found.total is None else found.total.add_(total)
        found.patches += patches

    def table(self) -> pd.DataFrame:
        """One row a layer and group."""
        rows = []
        for name, layer in self.layers.items():
            kind = next(kind for kind in LAYERS if isinstance(layer, kind)).__name__.lower()
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
    if isinstance(layer, _ConvTransposeNd):
        return geometry.stuffed(value, [int(p) for p in layer.output_padding])
    return value, geometry


def chosen_layers(model: nn.Module, layers: Iterable[str] | None) -> dict[str, nn.Module]:
    """The layers to measure by name: those named, or every convolution and linear layer."""
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module, not {type(model).__name__}.")
    if layers is None:
        return {name: module for name, module in model.named_modules() if isinstance(module, LAYERS)}
    modules = dict(model.named_modules(remove_duplicate=False))
    known = [name for name, module in modules.items() if isinstance(module, LAYERS)]
    chosen = {}
    for name in [layers] if isinstance(layers, str) or not isinstance(layers, Iterable) else layers:
        if not isinstance(name, str):
            raise InputError(f"layers must be names of layers, not {name!r}.")
        if name not in modules:
            raise UnknownNameError("layer", name, known)
        if name not in known:
            kind = type(modules[name]).__name__
            raise InputError(f"layer {name!r} is a {kind}, no convolution and not linear.")
        chosen[name] = modules[name]
    return chosen
