"""The figure of the linear network."""

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018.profiles.matrices import ABOVE, BELOW, SLOW
from normscope.papers.bjorck2018.readings.linear_network import convergence, errors, losses
from normscope.papers.shared import draw_lines
from normscope.protocol import select
from normscope.report import plots
from normscope.report.plots import Look

_LOOKS = {
    1: Look(plots.BLACK, "o", "-"),
    2: Look(plots.VERMILION, "s", "--"),
    4: Look(plots.BLUE, "v", "-."),
    8: Look(plots.ORANGE, "^", ":"),
    16: Look(plots.GREEN, "D", "-"),
}


def draw(table: pd.DataFrame) -> plots.Figure:
    """Differences of the trajectories, losses on both sides of the bound, and steps to converge against κ."""
    figure, (left, middle, right) = plots.new_figure(3, columns=3)
    names = {depth: f"depth {depth}" for depth in _LOOKS}
    plots.log_y(left, "largest difference  [of the weights]")
    draw_lines(left, select(errors(table), trained=1, share=SLOW), "step", names, _LOOKS, "depth")
    plots.mark_level(left, 1e-10, "bound of the claim")
    left.set(title="(a) network against least squares", xscale="symlog", xlabel="step", xlim=(0, None))
    plots.log_y(middle, "loss  [of its start]")
    runs = select(losses(table), trained=1)
    shown = runs[runs["step"].isin(sorted(runs["step"].unique())[::25])]
    for share in (BELOW, ABOVE):
        draw_lines(middle, select(shown, share=share), "step", names, _LOOKS, "depth")
    middle.set(title=f"(b) at {BELOW:g} and {ABOVE:g} of the bound", xlabel="step")
    _draw_convergence(right, convergence(table))
    plots.legend_below(figure, [left])
    return figure


def _draw_convergence(axes: plots.Panel, runs: pd.DataFrame) -> None:
    """Steps of every run, in closed form and as its movement implies, with the line of κ²."""
    axes.set(title="(c) convergence", xscale="log", yscale="log", xlabel=r"condition number $\kappa$")
    ends = np.array([runs["condition"].min(), runs["condition"].max()])
    plots.curve(axes, ends, ends**2 * np.log(100), plots.GREY, r"$\kappa^2\,\ln 100$")
    seen = runs[runs["visible"]]
    plots.markers(
        axes, runs["condition"], runs["steps_law"], Look(plots.BLACK, "o"), "closed form", hollow=False
    )
    plots.markers(
        axes, seen["condition"], seen["steps"], Look(plots.ORANGE, "s"), "from the network's movement"
    )
    axes.set_ylabel("steps until a hundredth is left")
    plots.legend_inside(axes, "upper left")
