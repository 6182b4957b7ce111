"""The figure of a sweep: validation error or loss, and extreme eigenvalues, against the learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure, SubFigure

from normscope.report.labels import fitted, literal
from normscope.report.plots import (
    PALETTE,
    PANEL_INCHES,
    Look,
    Panel,
    add_panels,
    legend_below,
    legend_growth,
    log_y,
    mark_level,
    median_band,
    new_figure,
    plain_numbers,
    rate_axis,
    show_percent,
)
from normscope.sweep.depth import after_early_step, draw_rows, early_runs, panel_rows, row_inches
from normscope.sweep.readings import chance_error, eigenvalues, final_errors, labels, runs_of
from normscope.sweep.settings import Sweep

if TYPE_CHECKING:
    import pandas as pd

_MARKERS = ("o", "s", "v", "^", "D", "P", "X", "<", ">", "*", "p")
_DASHES = ("-", "--", "-.", ":", "-")
_FIRST_MARK, _NEXT_MARK = 1.03, 0.035
_MOST_HEAT_MAPS = 2
_AROUND_ROWS = 0.8
_AROUND_ONE_RATE = 3.0


def draw(table: pd.DataFrame, sweep: Sweep) -> Figure:
    """The figure, with one line per network, norm and place.

    One panel shows the validation error, for a regression the loss, after the last epoch; with the probe ``spectrum``,
    two more show the largest and the smallest eigenvalue. Below, what the probes read by depth in an early run of each
    line at its best rate.

    Raises:
        NotJudgedError: no run has finished.
    """
    runs = early_runs(table, sweep) if sweep.probes else []
    count = 3 if "spectrum" in sweep.probes else 1
    if not any(run.tables for run in runs):
        figure, panels = new_figure(count, columns=count)
        _draw_by_rate(figure, panels, table, sweep)
        return figure
    columns = max(count, min(len(runs), _MOST_HEAT_MAPS))
    rows = panel_rows(runs, sweep.probes, columns)
    width, height = PANEL_INCHES[0] * columns, PANEL_INCHES[1]
    heights = (
        height + legend_growth([literal(run.label) for run in runs], width),
        sum(map(row_inches, rows)) + _AROUND_ROWS,
    )
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=heights).flat
    _draw_by_rate(above, add_panels(above, 1, count), table, sweep)
    draw_rows(below, rows, sweep)
    return figure


def _draw_by_rate(
    figure: Figure | SubFigure, panels: Sequence[Panel], table: pd.DataFrame, sweep: Sweep
) -> None:
    """The panels against the learning rate, and their legend."""
    errors = final_errors(table, sweep)
    _set_scale(panels[0], errors, sweep)
    _draw_lines(panels[0], errors, sweep)
    if math.isfinite(level := chance_error(sweep)):
        mark_level(panels[0], level, "chance" if sweep.classifies else "mean target")
    _mark_diverged(panels[0], errors, sweep)
    if "spectrum" in sweep.probes:
        when = after_early_step(sweep)
        for axes, measure, symbol in (
            (panels[1], "lambda_max", r"\lambda_{\max}"),
            (panels[2], "lambda_min", r"\lambda_{\min}"),
        ):
            log_y(axes, f"${symbol}(R)$ {when}  [input power]")
            _draw_lines(axes, eigenvalues(table, sweep, measure), sweep)
    legend_below(figure)


def _set_scale(axes: Panel, errors: pd.DataFrame, sweep: Sweep) -> None:
    """A logarithmic axis; a linear one for losses that span less than a decade, or are not all positive."""
    if sweep.classifies:
        log_y(axes, "final validation error  [%]")
        show_percent(axes)
        return
    label = "final validation loss"
    found = errors["value"][errors["value"] < math.inf]
    if found.empty or found.min() <= 0 or found.max() < 10 * found.min():
        axes.set_ylabel(label)
        return
    log_y(axes, label)
    plain_numbers(axes.yaxis)


def _draw_lines(axes: Panel, runs: pd.DataFrame, sweep: Sweep) -> None:
    names = labels(sweep)
    for number, (arrangement, label) in enumerate(zip(names, fitted(names.values()), strict=True)):
        chosen = runs_of(runs, arrangement)
        if not chosen.empty:
            median_band(axes, chosen, "rate", _look(number), literal(label))
    if len(sweep.rates) == 1:  # matplotlib finds no range for the marks at a panel's edge, and warns
        axes.set_xlim(sweep.rates[0] / _AROUND_ONE_RATE, sweep.rates[0] * _AROUND_ONE_RATE)
    what = "" if sweep.lr_for == "all" else " of the convolution weights"
    rate_axis(axes, f"learning rate η{what}")


def _mark_diverged(axes: Panel, errors: pd.DataFrame, sweep: Sweep) -> None:
    """Put crosses above the panel at the rates where runs diverged, in one row per line of the figure."""
    height = _FIRST_MARK
    for number, arrangement in enumerate(labels(sweep)):
        rates = runs_of(errors[errors["diverged"]], arrangement)["rate"].unique()
        if not len(rates):
            continue
        axes.plot(
            rates, [height] * len(rates), transform=axes.get_xaxis_transform(), clip_on=False,
            linestyle="none", marker="x", markersize=5, color=_look(number).color,
        )  # fmt: skip
        height += _NEXT_MARK
    if errors["diverged"].any():
        axes.plot([], [], linestyle="none", marker="x", markersize=5, color="0.4", label="a run diverged")


def _look(number: int) -> Look:
    return Look(
        PALETTE[number % len(PALETTE)], _MARKERS[number % len(_MARKERS)], _DASHES[number % len(_DASHES)]
    )
