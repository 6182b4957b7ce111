"""The spectrum of every layer's input autocorrelation, as a table."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from torch import Tensor, nn

from normscope.errors import InputError, UnknownNameError
from normscope.probes.capture import forward
from normscope.probes.eigenvalues import Spectrum, missing, spectrum_of
from normscope.probes.geometry import Geometry
from normscope.probes.lags import patch_sum

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)

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
    positions. Everything is computed in float64. The model runs once, in the mode it is in; it, its buffers
    and all random generators are afterwards as before.

    Args:
        model: any module; its Conv1d, Conv2d, Conv3d and Linear layers are measured.
        x: the model's input; a tuple is passed as its arguments and a mapping as its keyword arguments.
        layers: names of layers as in ``model.named_modules()``; all of them by default.
        extremes: find the extreme eigenvalues without forming R.

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
    chosen = chosen_layers(model, layers)
    sums = {name: Sums() for name in chosen}
    forward(model, x, chosen, lambda name, layer, value: sums[name].add(layer, value))
    return table(chosen, sums)


@dataclass
class Sums:
    """The running sum of a layer's patch products."""

    total: Tensor | None = None
    patches: int = 0
    positions: int = 0

    def add(self, layer: nn.Module, value: Tensor) -> None:
        """Take in one call's input."""
        geometry = Geometry.of_layer(layer)
        images, positions = as_batch(value, geometry)
        total, patches = patch_sum(images.double(), geometry)
        self.total = total if self.total is None else self.total.add_(total)
        self.patches += patches
        self.positions += positions

    def rows(self) -> list[Spectrum]:
        """One row a group."""
        if self.total is None:
            return []
        mean = self.total / self.patches
        return [spectrum_of(matrix, self.positions) for matrix in mean]


def as_batch(value: Tensor, geometry: Geometry) -> tuple[Tensor, int]:
    """A layer's input as (B, C, *size), and the patches of one example in it."""
    if not geometry.dims:
        return value.reshape(-1, value.shape[-1]), math.prod(value.shape[1:-1])
    if value.ndim == geometry.dims + 1:
        value = value.unsqueeze(0)
    return value, math.prod(geometry.output_size(value.shape[2:]))


def chosen_layers(model: nn.Module, layers: Iterable[str] | None) -> dict[str, nn.Module]:
    """The layers to measure by name: those named, or every convolution and linear layer."""
    if layers is None:
        return {name: module for name, module in model.named_modules() if isinstance(module, LAYERS)}
    modules = dict(model.named_modules(remove_duplicate=False))
    known = [name for name, module in modules.items() if isinstance(module, LAYERS)]
    chosen = {}
    for name in [layers] if isinstance(layers, str) else layers:
        if name not in modules:
            raise UnknownNameError("layer", name, known)
        if name not in known:
            raise InputError(
                f"layer {name!r} is a {type(modules[name]).__name__}, no convolution and not linear."
            )
        chosen[name] = modules[name]
    return chosen


def table(layers: dict[str, nn.Module], sums: dict[str, Sums]) -> pd.DataFrame:
    """The rows of all layers."""
    rows = []
    for name, layer in layers.items():
        found = sums[name].rows() or [missing(0, 0, "the layer did not run")]
        kind = next(kind for kind in LAYERS if isinstance(layer, kind)).__name__.lower()
        rows += [
            {"layer": name, "kind": kind, "group": group} | asdict(row) for group, row in enumerate(found)
        ]
    return pd.DataFrame(rows, columns=list(COLUMNS))
