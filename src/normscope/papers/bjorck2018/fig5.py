"""Fig. 5: the loss of a batch along the update that makes an unnormalized network diverge.

The loss falls where the gradient is computed, and explodes towards the end of the update. The update is the plain
gradient's: momentum's own direction may point up after the first step.
"""

import itertools

import pandas as pd

from normscope.papers.bjorck2018.cells.landscapes import loss_along_gradient
from normscope.papers.bjorck2018.profiles.diverging import DIVERGING, DivergingProfile
from normscope.papers.bjorck2018.readings.landscapes import points_of, search_cells, search_remark, updates
from normscope.papers.shared import Findings, contrasts
from normscope.protocol import Cell, Claims, GrowingExperiment, Judgement
from normscope.report import plots

claim = Claims("Bjorck et al. 2018, §3.4, Fig. 5")
_GROWS = 10.0
_LOOKS = (
    plots.Look(plots.VERMILION, "s", "-"),
    plots.Look(plots.BLACK, "o", "--"),
    plots.Look(plots.BLUE, "^", "-."),
    plots.Look(plots.ORANGE, "v", ":"),
)
"""One for each rate, from the highest down."""


@claim(
    "explodes",
    "The loss explodes along the diverging update of an unnormalized network, which is not indicated at the origin.",
    "at the smallest diverging rate of a half-decade grid, along the plain gradient: loss at the update's end ≥ 10× "
    "its minimum on the way (not finite: +∞), and at the first point below the loss at the origin",
)
def explodes(table: pd.DataFrame) -> Judgement:
    points = points_of(loss_along_gradient, table)
    losses = points.pivot(index="seed", columns="index", values="value")
    start, first, end, lowest = losses.iloc[:, 0], losses.iloc[:, 1], losses.iloc[:, -1], losses.min(axis=1)
    medians = {"at the origin": start, "lowest on the way": lowest, "at the end": end}
    found = Findings({"rate": float(updates(table)["rate"].median())})
    found.measure({f"loss {place}": float(values.median()) for place, values in medians.items()})
    found.compare(
        contrasts.ratio("loss at the end / lowest on the way", end, lowest, least=_GROWS),
        contrasts.below("loss at the first point / at the origin", first, start),
    )
    found.remark(search_remark(table))
    return found.judgement()


def more_cells(profile: DivergingProfile, table: pd.DataFrame) -> list[Cell]:
    """The search for the smallest diverging rate of each seed, then the loss along the update."""
    return search_cells(profile, table, loss_along_gradient, profile.loss_points, 1.0)


def draw(table: pd.DataFrame) -> plots.Figure:
    """Loss against the share of the update, a line a seed, whose look tells its rate."""
    figure, (axes,) = plots.new_figure(1)
    plots.log_y(axes, "loss of the batch")
    points = points_of(loss_along_gradient, table)
    rates = sorted(points["rate"].unique(), reverse=True)
    for rate, look in zip(rates, itertools.cycle(_LOOKS)):
        lines = points[points["rate"] == rate].groupby("seed")
        for place, (_, line) in enumerate(lines):
            plots.median_band(axes, line, "share", look, "" if place else f"α = {rate:g}")
    axes.set_xlabel("share of the update −α∇L that has been made")
    plots.legend_below(figure)
    return figure


EXPERIMENT = GrowingExperiment(
    id="bjorck2018.fig5",
    question="What does the loss do along the update that makes an unnormalized network diverge?",
    method=(
        "Learning rates are tried from the highest down until one does not diverge. At the lowest that does, the loss "
        "of the batch that is responsible is measured along its negative gradient."
    ),
    caption=(
        "Loss of the responsible batch along the diverging update, from where its gradient is computed (0) to where "
        "the update ends (1): a line a seed, at its smallest diverging rate α. A loss that is not finite is a hollow "
        "marker at the upper edge, and the line stops."
    ),
    profiles=DIVERGING,
    list_cells=lambda profile: (),
    rules=claim.rules,
    draw=draw,
    more_cells=more_cells,
)
