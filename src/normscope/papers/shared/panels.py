"""Panels that many figures have: a line for each variant against the learning rate or the epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from normscope.papers.shared.contrasts import Contrast
from normscope.papers.shared.tables import CHANCE_ERROR
from normscope.report import plots
from normscope.report.plots import Look, Panel

NORM_LOOKS = {
    "none": Look(plots.BLACK, "o", "--"),
    "suppress": Look(plots.BLUE, "v", "-."),
    "batch": Look(plots.VERMILION, "s", "-"),
    "amplify": Look(plots.ORANGE, "^", ":"),
}
"""The norms' looks, in the order of legends. Each has its own marker and dashes, so that figures read in greyscale."""


def draw_lines(
    axes: Panel,
    runs: pd.DataFrame,
    x: str,
    names: Mapping[Any, str],
    looks: Mapping[Any, Look] = NORM_LOOKS,
    column: str = "norm",
) -> None:
    """The median over seeds of ``runs["value"]`` against the column ``x``, with its band: a line a variant.

    Args:
        axes: the panel.
        runs: one row a run, and epoch where that is ``x``.
        x: the column of the horizontal axis.
        names: the variants' names in the legend.
        looks: the variants, in the order in which they are drawn; one without rows is left out.
        column: the column that tells the variants apart.
    """
    for variant, look in looks.items():
        chosen = runs[runs[column] == variant]
        if not chosen.empty:
            plots.median_band(axes, chosen, x, look, names[variant])


def error_axis(axes: Panel, chance: float = CHANCE_ERROR) -> None:
    """Validation error on the vertical axis: percent, logarithmic, with the error of a guess as a line.

    Call it before the errors are drawn, as :func:`normscope.report.plots.log_y`.
    """
    plots.log_y(axes, "validation error  [%]")
    plots.show_percent(axes)
    plots.mark_level(axes, chance, "chance")


def epoch_axis(axes: Panel) -> None:
    """Epochs on the horizontal axis, as whole numbers."""
    axes.set_xlabel("epoch")
    plots.whole_numbers(axes.xaxis)


def draw_contrasts(
    axes: Panel,
    contrasts: Sequence[Mapping[str, Contrast]],
    names: Mapping[str, str],
    looks: Mapping[str, Look],
) -> None:
    """One row per variant, from top to bottom as in the legend: a marker and its 95 % interval for each contrast.

    Args:
        axes: the panel.
        contrasts: by variant; those of the first mapping are drawn full, those of the others hollow. One of a single
            seed has no interval and is left out.
        names: the variants' names.
        looks: the variants, in the order of the rows; one that no mapping has gets no row.
    """
    looks = {name: look for name, look in looks.items() if any(name in found for found in contrasts)}
    for order, found in enumerate(contrasts):
        shift = 0.22 * (order - (len(contrasts) - 1) / 2)
        for row, (variant, look) in enumerate(looks.items()):
            if variant in found and found[variant].seeds > 1:
                low, high = found[variant].interval()
                plots.interval(axes, row + shift, (low, found[variant].value, high), look, hollow=order > 0)
    axes.set_ylim(max(len(looks), 1) - 0.5, -0.5)
    axes.set_yticks(range(len(looks)), [names[variant] for variant in looks])
