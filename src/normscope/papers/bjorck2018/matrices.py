"""The looks of products of M matrices, and the axis of M, which Figs. 8 to 12 share."""

from __future__ import annotations

from normscope.report import plots
from normscope.report.plots import Look, Panel

LOOKS = {
    1: Look(plots.BLACK, "o"),
    2: Look(plots.VERMILION, "s"),
    3: Look(plots.BLUE, "v"),
    4: Look(plots.ORANGE, "^"),
    5: Look(plots.GREEN, "D"),
    6: Look(plots.PURPLE, "P"),
}
"""By the number of factors."""


def name(factors: int) -> str:
    """What a legend calls a product."""
    return f"M = {factors}"


def factors_axis(axes: Panel) -> None:
    """The number of factors on the horizontal axis, as whole numbers."""
    axes.set_xlabel("number of factors M")
    plots.whole_numbers(axes.xaxis)
