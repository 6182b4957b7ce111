"""Panels of eigenvalues and of the learning-rate bound by depth, from a table of ``probes.spectrum``."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from normscope.report.depth.layers import Layers, draw_values, explain, label_look
from normscope.report.plots import BLACK, BLUE, VERMILION, Look, Panel, legend_below

_LARGEST, _SMALLEST, _BOUND = Look(VERMILION, ">", "-"), Look(BLUE, "<", "--"), Look(BLACK, "o", "-")
_MOST_STEPS = 5
_PALEST = 0.35


def spectra_figure(table: pd.DataFrame) -> Figure:
    """Eigenvalues on the left and the bound on the right; of a table with steps, up to five, the later the darker."""
    layers, shown = Layers.of(table), _steps(table)
    left_title = "autocorrelation R of the layer's input" + _share(table, shown)
    figure, (left, right) = layers.figure((left_title, "bound for ½ · squared error of that layer alone"))
    label_eigenvalues(left)
    found: set[str] = set()
    for step, shade in zip(shown, np.linspace(1, _PALEST, len(shown))[::-1], strict=True):
        rows = table if step is None else table[table["step"] == step]
        found |= draw_eigenvalues(left, layers, rows, float(shade))
        found |= _draw_bound(right, layers, rows, float(shade))
        if step is not None:
            label_look(left, _paler(_BOUND, float(shade)), f"step {step:,.0f}")
    explain(left, found)
    legend_below(figure)
    return figure


def draw_eigenvalues(axes: Panel, layers: Layers, rows: pd.DataFrame, shade: float = 1) -> set[str]:
    """The largest and the smallest eigenvalue by depth; of a layer in groups, every group's.

    Args:
        axes: the panel.
        layers: the panel's layers.
        rows: with the columns ``layer``, ``lambda_min`` and ``lambda_max``.
        shade: 1 for the full colours, less for paler ones.

    Returns:
        What the markers at the panel's edge say, for :func:`normscope.report.depth.layers.explain`.
    """
    axes.set_xlabel("eigenvalue  [input power]")
    return draw_values(axes, layers, rows, "lambda_max", _paler(_LARGEST, shade), "max") | draw_values(
        axes, layers, rows, "lambda_min", _paler(_SMALLEST, shade), "min"
    )


def label_eigenvalues(axes: Panel) -> None:
    """The entries of the legend for what :func:`draw_eigenvalues` draws."""
    label_look(axes, _LARGEST, r"$\lambda_{\max}(R)$")
    label_look(axes, _SMALLEST, r"$\lambda_{\min}(R)$")


def _draw_bound(axes: Panel, layers: Layers, rows: pd.DataFrame, shade: float) -> set[str]:
    axes.set_xlabel(r"$2/(M\lambda_{\max})$  [learning rate]")
    return draw_values(axes, layers, rows, "lr_bound", _paler(_BOUND, shade), "min")


def _steps(table: pd.DataFrame) -> list[float | None]:
    """The steps to show, spread over all of them; a single ``None`` where the table has no steps."""
    if "step" not in table:
        return [None]
    every = sorted(table["step"].unique())
    places = np.linspace(0, len(every) - 1, min(len(every), _MOST_STEPS)).round().astype(int)
    return [float(every[place]) for place in places]


def _share(table: pd.DataFrame, shown: list[float | None]) -> str:
    """In words, how many of the steps are shown; empty when all are."""
    count = table["step"].nunique() if "step" in table else 1
    return f", {len(shown)} of {count:,} steps" if count > len(shown) else ""


def _paler(look: Look, shade: float) -> Look:
    red, green, blue = (1 - shade * (1 - part) for part in to_rgb(look.color))
    return dataclasses.replace(look, color=to_hex((red, green, blue)))
