"""Fig. 11: the condition number of products of random matrices.

It is the ratio of the largest to the smallest singular value. A linear network with more layers is conditioned worse.
"""

import itertools

import pandas as pd

from normscope.papers.bjorck2018 import matrices
from normscope.papers.bjorck2018.cells.products import multiply_matrices
from normscope.papers.bjorck2018.profiles.matrices import PRODUCTS
from normscope.papers.bjorck2018.readings.products import GAUSSIAN, condition, frame, judged, spectra
from normscope.papers.shared import Findings, combinations
from normscope.protocol import Claims, FixedExperiment, Judgement
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND
from normscope.report.plots import Look

claim = Claims("Bjorck et al. 2018, App. E, Fig. 11")


@claim(
    "condition-grows",
    "The condition number increases dramatically with the number of matrices in the product.",
    "with every factor up to the sixth: a higher condition number, by the interval of its logarithm over draws",
)
def condition_grows(table: pd.DataFrame) -> Judgement:
    by_factors = judged(table, condition, "κ,")
    found = Findings(by_factors.named())
    if len(pairs := list(itertools.pairwise(by_factors))) == 0:
        raise found.not_judged("there are products of one number of matrices only")
    found.compare(*by_factors.order(*pairs))
    return found.judgement()


def draw(table: pd.DataFrame) -> plots.Figure:
    """Every draw and the median over them, on the paper's logarithmic axis."""
    figure, (axes,) = plots.new_figure(1)
    runs = frame(spectra(table), condition)
    plots.log_y(axes, r"condition number $\kappa=\sigma_{\max}/\sigma_{\min}$")
    plots.median_band(axes, runs, "factors", Look(plots.BLACK, "o", "-"), "median")
    plots.markers(axes, runs["factors"], runs["value"], Look(plots.VERMILION, "_"), "each draw")
    plots.brief_numbers(axes.yaxis)
    matrices.factors_axis(axes)
    plots.legend_inside(axes, "upper left")
    return figure


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig11",
    question="How fast does the condition number grow as more random matrices are multiplied?",
    method=(
        "Square matrices with independent Gaussian entries are multiplied one after another. The condition number is "
        "the ratio of the largest to the smallest singular value, in float64, for up to six factors: beyond that it is "
        "rounding."
    ),
    caption=(
        "Condition number of products of M Gaussian matrices, every draw, and the "
        f"{MEDIAN_BAND}. The paper shows means and standard deviations."
    ),
    profiles=PRODUCTS,
    list_cells=lambda profile: combinations(multiply_matrices, profile, entries=(GAUSSIAN,)),
    rules=claim.rules,
    draw=draw,
)
