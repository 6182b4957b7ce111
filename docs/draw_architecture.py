"""Draws docs/architecture.svg: the way of the data from a command to a results folder.

Run it from the repository's root: ``python docs/draw_architecture.py``.
"""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

BLUE, ORANGE, GREY, PALE = "#0072B2", "#D55E00", "0.35", "#EEF4F9"
WIDTH, HEIGHT = 2.5, 1.12


def box(axes: Axes, x: float, y: float, room: str, does: str, color: str = BLUE) -> None:
    """A room at a corner (x, y), with what it does to the data."""
    shape = FancyBboxPatch(
        (x, y), WIDTH, HEIGHT, boxstyle="round,pad=0.02,rounding_size=0.08", facecolor=PALE, edgecolor=color,
        linewidth=1.4,
    )  # fmt: skip
    axes.add_patch(shape)
    axes.text(x + WIDTH / 2, y + HEIGHT - 0.22, room, ha="center", va="center", weight="bold", fontsize=10)
    axes.text(x + WIDTH / 2, y + 0.4, does, ha="center", va="center", fontsize=8.5, color="0.2")


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], text: str, at: tuple[float, float],
          bend: float = 0.0, color: str = GREY) -> None:  # fmt: skip
    """An arrow with the value that travels along it."""
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=13, color=color, linewidth=1.3,
            connectionstyle=f"arc3,rad={bend}", shrinkA=2, shrinkB=2,
        )
    )  # fmt: skip
    axes.text(*at, text, ha="center", va="center", fontsize=8.5, style="italic", color=color,
              bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0})  # fmt: skip


def draw() -> Figure:
    """The picture."""
    figure = Figure(figsize=(12.4, 4.9))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 14.2), ylim=(0.2, 5.7))
    axes.axis("off")
    top, bottom = 4.3, 1.2
    box(axes, 0.3, top, "cli", "reads the command\nprints one line a result")
    box(axes, 3.9, top, "papers / sweep", "an Experiment: its cells,\nclaims and figure")
    box(axes, 7.5, top, "runner", "plans: what is found,\nwhat is new")
    box(axes, 11.2, top, "runner workers", "one process a core, or\nRay tasks (runner/cluster)")
    box(axes, 11.2, bottom, "store", "keeps rows, joins to each\nits cell's settings")
    box(axes, 5.7, bottom, "reproduction", "round by round, until\nnothing is new")
    box(
        axes,
        0.3,
        bottom,
        "results + report",
        "data.parquet, figure.svg,\nscorecard.json, report.html",
        ORANGE,
    )
    middle = HEIGHT / 2
    arrow(axes, (2.8, top + middle), (3.9, top + middle), "name", (3.35, top + middle + 0.24))
    arrow(axes, (6.4, top + middle), (7.5, top + middle), "cells", (6.95, top + middle + 0.24))
    arrow(axes, (10.0, top + middle), (11.2, top + middle), "new cells", (10.6, top + middle + 0.24))
    arrow(axes, (12.45, top), (12.45, bottom + HEIGHT), "rows", (12.45, 3.3))
    arrow(axes, (11.2, bottom + middle + 0.2), (9.3, top), "found cells", (9.75, 3.3))
    arrow(
        axes,
        (11.2, bottom + middle),
        (8.2, bottom + middle),
        "rows of all cells",
        (9.7, bottom + middle - 0.26),
    )
    arrow(axes, (6.6, bottom + HEIGHT), (5.3, top), "table", (6.25, 3.3), color=BLUE)
    arrow(axes, (4.4, top), (1.9, bottom + HEIGHT), "claims, figure", (3.1, 3.5), color=ORANGE)
    arrow(
        axes,
        (5.7, bottom + middle),
        (2.8, bottom + middle),
        "table",
        (4.25, bottom + middle - 0.24),
        color=ORANGE,
    )
    axes.text(
        7.1, 0.45, "Blue: round by round, an experiment gets the rows so far and may ask for more cells. "
        "Orange: when it asks for nothing new, its claims are judged and its figure is drawn.",
        ha="center", fontsize=9, color="0.25",
    )  # fmt: skip
    return figure


if __name__ == "__main__":
    with mpl.rc_context({"svg.hashsalt": "architecture", "font.family": "sans-serif"}):
        draw().savefig(Path(__file__).with_name("architecture.svg"), metadata={"Date": None})
