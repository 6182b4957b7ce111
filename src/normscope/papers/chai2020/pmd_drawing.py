"""The figure of :mod:`normscope.papers.chai2020.pmd`: steps beside NLMS's, and the paper's assumption."""

import dataclasses

import pandas as pd

from normscope.papers.chai2020.cells.arrangements import LABELS, PLAIN
from normscope.papers.chai2020.cells.step_comparison import balanced_step, compare_steps
from normscope.papers.chai2020.fig10_drawing import LOOKS
from normscope.papers.shared import draw_lines, side_by_side
from normscope.protocol import select
from normscope.report import plots

NEAR, EXACT = 0.1, 1e-9
"""How far γ and β may be from 1 and 0 to be near them, and how far a step from NLMS's to be exact."""

_NAMES = {name: LABELS[name] for name in PLAIN}
_DASHES = {
    "gain_distance": ("γ − 1", {"batch": "-", "prior": "-."}),
    "bias_distance": ("β", {"batch": ":", "prior": "--"}),
}
_CURVES = {name: dataclasses.replace(LOOKS[name], marker="") for name in PLAIN}
_BALANCED, _REAL = plots.Look(plots.BLUE, "v"), plots.Look(plots.VERMILION, "s")
_FIRST_STEP = {"cosine": "cosine, first step", "distance": "|ΔW/σ − NLMS| / |NLMS|, first step"}


def draw(table: pd.DataFrame) -> plots.Figure:
    """Columns are rates; rows the cosine, the length and γ's and β's distance by step; last the paper's assumption."""
    rows = compare_steps.rows(table)
    rows = rows.assign(step=rows["step"] + 1)
    rates = sorted(rows["rate"].unique())
    figure, every = plots.new_figure(4 * len(rates), columns=len(rates))
    panels, assumption = every[: 3 * len(rates)], every[3 * len(rates) :]
    for column, rate in enumerate(rates):
        top, middle, bottom = stack = panels[column :: len(rates)]
        for axes, first in zip(stack, panels[:: len(rates)], strict=True):
            axes.sharey(first)
        here = select(rows, rate=rate)
        plots.log_y(middle, "plain step's length / NLMS's")
        for axes, measure in ((top, "cosine_mean"), (middle, "length")):
            draw_lines(axes, select(here, measure=measure), "step", _NAMES, _CURVES, "arrangement")
        top.set(title=f"rate {rate:g}", ylabel="cosine similarity to NLMS's step", ylim=(0, 1))
        middle.axhline(1, color="0.6", linewidth=0.8, zorder=0)
        plots.plain_numbers(middle.yaxis)
        _draw_distances(bottom, here)
        for axes in stack:
            axes.set_xscale("log")
            plots.plain_numbers(axes.xaxis)
            plots.label_edges(axes, left=column == 0, bottom=axes is bottom)
    panels[-len(rates)].set_ylim(bottom=0)
    has_balanced = balanced_step.name in set(table["function"])
    for axes, measure in zip(assumption, ("cosine", "distance"), strict=False):
        if has_balanced:
            _draw_assumption(axes, table, measure)
    plots.legend_inside(panels[-len(rates)], "center left")
    plots.legend_below(figure)
    return figure


def _draw_distances(axes: plots.Panel, rows: pd.DataFrame) -> None:
    """How far γ and β are from 1 and 0, with a line where they stop counting as near."""
    for measure, (symbol, dashes) in _DASHES.items():
        looks = {name: dataclasses.replace(_CURVES[name], dashes=dash) for name, dash in dashes.items()}
        names = {name: f"{symbol}, {_NAMES[name]}" for name in looks}
        draw_lines(axes, select(rows, measure=measure), "step", names, looks, "arrangement")
    axes.set(ylabel="root mean square over channels", xlabel="step, counted from 1")
    plots.mark_level(axes, NEAR, "near", dashes="--")


def _draw_assumption(axes: plots.Panel, table: pd.DataFrame, measure: str) -> None:
    """A measure of balanced inputs' first step against how much their patches' power varies; real images as markers."""
    steps = side_by_side(balanced_step.rows(table), (measure, "power_variation"), ["variation", "seed"])
    line = steps.groupby("variation").median()
    axes.set(xlabel="coefficient of variation of the patches' power", ylabel=_FIRST_STEP[measure])
    if measure == "distance":
        plots.log_y(axes, _FIRST_STEP[measure])
    plots.curve(axes, line["power_variation"], line[measure], plots.BLUE)
    plots.markers(axes, steps["power_variation"], steps[measure], _BALANCED, "balanced ±a pixels")
    if measure == "cosine":
        real = side_by_side(
            compare_steps.rows(table, arrangement="prior", step=0),
            ("cosine_mean", "power_variation"),
            ["rate", "seed"],
        )
        plots.markers(axes, real["power_variation"], real["cosine_mean"], _REAL, "real images")
        plots.legend_inside(axes, "lower left")
        axes.set_ylim(0, 1.05)
    else:
        plots.mark_level(axes, EXACT, "exact below", dashes="--")
