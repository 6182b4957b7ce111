"""The figures' common parts: one look for each variant, medians and quartile bands over seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from normscope.papers.chai2020.lenet import VARIANTS
from normscope.papers.chai2020.readings import CHANCE_ERROR
from normscope.report.plots import (
    Look,
    Panel,
    legend_below,
    mark_level,
    median_band,
    new_figure,
    rate_axis,
    show_percent,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["draw_by_epoch", "draw_by_rate", "legend_below", "mark_chance", "new_figure", "show_percent"]

LOOKS = {
    "none": Look("#000000", "o", "--"),
    "suppress": Look("#0072B2", "v", "-."),
    "batch": Look("#D55E00", "s", "-"),
    "amplify": Look("#E69F00", "^", ":"),
}
"""Colours of different lightness, and a marker and dash each, so that the figures read in greyscale too."""


def draw_by_rate(axes: Panel, runs: pd.DataFrame) -> None:
    """A line a variant against the learning rate."""
    for norm, look in LOOKS.items():
        median_band(axes, runs[runs["norm"] == norm], "rate", look, VARIANTS[norm])
    rate_axis(axes, "learning rate η of the convolution weights")


def draw_by_epoch(axes: Panel, errors: pd.DataFrame) -> None:
    """A line a variant against the epoch, in percent on a logarithmic axis."""
    for norm, look in LOOKS.items():
        median_band(axes, errors[errors["norm"] == norm], "epoch", look, VARIANTS[norm])
    axes.set(xlabel="epoch", yscale="log", ylabel="validation error  [%]")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    show_percent(axes)
    mark_chance(axes)


def mark_chance(axes: Panel) -> None:
    """A thin line at the error of a guess."""
    mark_level(axes, CHANCE_ERROR, "chance")
