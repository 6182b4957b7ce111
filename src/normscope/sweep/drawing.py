"""The figure of a sweep: validation error or loss, and extreme eigenvalues, against the learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from normscope.report.labels import fitted, literal
from normscope.report.plots import (
    PALETTE,
    Look,
    Panel,
    legend_below,
    log_y,
    mark_level,
    median_band,
    new_figure,
    plain_numbers,
    rate_axis,
    show_percent,
)
from normscope.sweep.readings import chance_error, early_step, eigenvalues, final_errors, labels, runs_of
from normscope.sweep.settings import Sweep

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_MARKERS = ("o", "s", "v", "^", "D", "P", "X", "<", ">", "*", "p")
_DASHES = ("-", "--", "-.", ":", "-")
_FIRST_MARK, _NEXT_MARK = 1.03, 0.035


def draw(table: pd.DataFrame, sweep: Sweep) -> Figure:
    """The figure, with one line per network, norm and place.

    One panel shows the validation error, for a regression the loss, after the last epoch; with the probe ``spectrum``,
    two more show the largest and the smallest eigenvalue.

    Raises:
        NotJudgedError: no run has finished.
    """
    errors = final_errors(table, sweep)
    spectra = "spectrum" in sweep.probes
    count = 3 if spectra else 1
    figure, panels = new_figure(count, columns=count)
    _set_scale(panels[0], errors, sweep)
    _draw_lines(panels[0], errors, sweep)
    if math.isfinite(level := chance_error(sweep)):
        mark_level(panels[0], level, "chance" if sweep.classifies else "mean target")
    _mark_diverged(panels[0], errors, sweep)
    if spectra:
        when = f"after {early_step(sweep)} steps"
        for axes, measure, symbol in (
            (panels[1], "lambda_max", r"\lambda_{\max}"),
            (panels[2], "lambda_min", r"\lambda_{\min}"),
        ):
            log_y(axes, f"${symbol}(R)$ {when}  [input power]")
            _draw_lines(axes, eigenvalues(table, sweep, measure), sweep)
    legend_below(figure)
    return figure


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
