"""Fig. 6: channel means and variances, layer by layer, along the update that makes an unnormalized network diverge.

They explode in the higher layers and stay nearly as they are in the lower ones.
"""

import pandas as pd

from normscope.papers.bjorck2018.cells.landscapes import moments_along_gradient
from normscope.papers.bjorck2018.layers import layer_number
from normscope.papers.bjorck2018.profiles.diverging import DIVERGING, DivergingProfile
from normscope.papers.bjorck2018.readings.landscapes import (
    growth_by_layer,
    growth_by_third,
    points_of,
    search_cells,
    search_remark,
)
from normscope.papers.shared import Findings, contrasts
from normscope.protocol import Cell, Claims, GrowingExperiment, Judgement
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND

claim = Claims("Bjorck et al. 2018, §3.4, Fig. 6")
_TIMES = 3.0
_LEAST = {"variance": 10.0, "mean": 3.0}
_SHOWN = {
    0.0: plots.Look(plots.BLACK, "", "--"),
    0.3: plots.Look(plots.SKY, "", "-"),
    1.0: plots.Look(plots.BLUE, "", "-."),
    2.0: plots.Look(plots.ORANGE, "", ":"),
    3.0: plots.Look(plots.VERMILION, "", "-"),
}
"""The points of the line that are drawn, in updates."""


def _judge(table: pd.DataFrame, measure: str) -> Judgement:
    lower, upper = growth_by_third(growth_by_layer(moments_along_gradient, table, measure))
    found = Findings(
        {
            f"growth of the {measure}, lower third": float(lower.median()),
            f"growth of the {measure}, upper third": float(upper.median()),
        }
    )
    name = f"growth of the {measure}, upper / lower third"
    found.compare(contrasts.ratio(name, upper, lower, least=_LEAST[measure]))
    found.remark(search_remark(table))
    return found.judgement()


@claim(
    "variances",
    "Along the diverging update, the channels' variances explode in the higher layers and hardly change in the lower.",
    "at 3× the smallest diverging rate, end / start of the variance, median over a third of the layers: upper third ≥ "
    "10× the lower",
)
def variances(table: pd.DataFrame) -> Judgement:
    return _judge(table, "variance")


@claim(
    "means",
    "Along the diverging update, the channels' means explode in the higher layers and hardly change in the lower.",
    "at 3× the smallest diverging rate, end / start of the mean |channel mean|, median over a third of the layers: "
    "upper third ≥ 3× the lower",
)
def means(table: pd.DataFrame) -> Judgement:
    return _judge(table, "mean")


def more_cells(profile: DivergingProfile, table: pd.DataFrame) -> list[Cell]:
    """The search for the smallest diverging rate of each seed, then the moments along three times its update."""
    return search_cells(profile, table, moments_along_gradient, profile.moment_points, _TIMES)


def draw(table: pd.DataFrame) -> plots.Figure:
    """Means on the left, variances on the right, by layer: a line a point of the update."""
    figure, panels = plots.new_figure(2, columns=2)
    titles = {"mean": "(a) mean |channel mean|", "variance": "(b) mean channel variance"}
    for axes, (measure, title) in zip(panels, titles.items(), strict=True):
        plots.log_y(axes)
        points = points_of(moments_along_gradient, table, measure)
        points = points.assign(
            number=points["layer"].map(layer_number), updates=(_TIMES * points["share"]).round(6)
        )
        for updates, look in _SHOWN.items():
            here = points[points["updates"] == updates]
            if not here.empty:
                plots.median_band(axes, here, "number", look, f"{updates:g} α")
        axes.set(title=title, xlabel="layer")
    plots.legend_below(figure)
    return figure


EXPERIMENT = GrowingExperiment(
    id="bjorck2018.fig6",
    question="Which layers does the update that makes an unnormalized network diverge blow up?",
    method=(
        "The smallest diverging rate α is searched as for Fig. 5. The moments of every convolution's output are "
        "measured on the responsible batch, along its negative gradient to three times that rate."
    ),
    caption=(
        "(a) Magnitude of the channel means and (b) channel variances of every convolution's output, averaged over its "
        "channels, at points on the line along the negative gradient: 1 α is the end of the update at the smallest "
        f"diverging rate. {MEDIAN_BAND[0].upper()}{MEDIAN_BAND[1:]}."
    ),
    profiles=DIVERGING,
    list_cells=lambda profile: (),
    rules=claim.rules,
    draw=draw,
    more_cells=more_cells,
)
