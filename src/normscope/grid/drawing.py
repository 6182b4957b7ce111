"""The default figure of a grid: validation error, and the extremes of the spectra, against the learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from normscope.grid.readings import LINE, chance_error, early_step, eigenvalues, final_errors, labels
from normscope.grid.words import Grid
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
    from matplotlib.figure import Figure

# Okabe and Ito's colours, dark and light by turns, so that neighbours differ in greyscale too.
_COLORS = ("#000000", "#D55E00", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#7F7F7F")
_MARKERS = ("o", "s", "v", "^", "D", "P", "X", "<", ">", "*", "p")
_DASHES = ("-", "--", "-.", ":", "-")
_FIRST_MARK, _NEXT_MARK = 1.03, 0.035


def draw(table: pd.DataFrame, grid: Grid) -> Figure:
    """A line a network, norm and place.

    Raises:
        NotJudgedError: when no run has finished.
    """
    errors = final_errors(table, grid)
    spectra = "spectrum" in grid.probes
    figure, panels = new_figure(3 if spectra else 1, columns=3)
    _draw_lines(panels[0], errors, grid)
    panels[0].set(yscale="log", ylabel="final validation error  [%]")
    show_percent(panels[0])
    mark_level(panels[0], chance_error(grid), "chance")
    _mark_diverged(panels[0], errors, grid)
    if spectra:
        when = f"after {early_step(grid)} steps"
        for axes, measure, symbol in (
            (panels[1], "lambda_max", r"\lambda_{\max}"),
            (panels[2], "lambda_min", r"\lambda_{\min}"),
        ):
            _draw_lines(axes, eigenvalues(table, grid, measure), grid)
            axes.set(yscale="log", ylabel=f"${symbol}(R)$ {when}  [input power]")
    legend_below(figure)
    return figure


def _draw_lines(axes: Panel, runs: pd.DataFrame, grid: Grid) -> None:
    for number, (line, label) in enumerate(labels(grid).items()):
        chosen = runs[(runs[LINE] == line).all(axis=1)]
        if not chosen.empty:
            median_band(axes, chosen, "rate", _look(number), label)
    what = "" if grid.lr_for == "all" else " of the convolution weights"
    rate_axis(axes, f"learning rate η{what}")


def _mark_diverged(axes: Panel, errors: pd.DataFrame, grid: Grid) -> None:
    """A row of crosses above the panel for each line with diverged runs, at the rates where there were any."""
    height = _FIRST_MARK
    for number, line in enumerate(labels(grid)):
        runs = errors[(errors[LINE] == line).all(axis=1) & errors["diverged"]]
        if runs.empty:
            continue
        rates = runs["rate"].unique()
        axes.plot(
            rates, [height] * len(rates), transform=axes.get_xaxis_transform(), clip_on=False,
            linestyle="none", marker="x", markersize=5, color=_look(number).color,
        )  # fmt: skip
        height += _NEXT_MARK
    if errors["diverged"].any():
        axes.plot([], [], linestyle="none", marker="x", markersize=5, color="0.4", label="a run diverged")


def _look(number: int) -> Look:
    return Look(
        _COLORS[number % len(_COLORS)], _MARKERS[number % len(_MARKERS)], _DASHES[number % len(_DASHES)]
    )
