"""Fig. 8: the singular values of a random matrix and of products of such matrices.

The more matrices are multiplied, which is a deeper linear network, the heavier is the tail of the singular values.
"""

import itertools

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018 import matrices
from normscope.papers.bjorck2018.cells.products import multiply_matrices
from normscope.papers.bjorck2018.profiles.matrices import PRODUCTS
from normscope.papers.bjorck2018.readings.products import GAUSSIAN, frame, judged, kurtosis, spectra, tail
from normscope.papers.shared import Findings, combinations
from normscope.protocol import Claims, FixedExperiment, Judgement
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND
from normscope.theory.random_matrices import ProductLaw

claim = Claims("Bjorck et al. 2018, §4, Fig. 8")


@claim(
    "heavier-tails",
    "The distribution of the singular values becomes more heavy-tailed as more matrices are multiplied.",
    "with every factor up to the sixth: a higher kurtosis of the singular values, and a higher 99th percentile in "
    "units of the median",
)
def heavier_tails(table: pd.DataFrame) -> Judgement:
    found = Findings()
    for unit, statistic in (("kurtosis", kurtosis), ("99th percentile / median", tail)):
        by_factors = judged(table, statistic, f"{unit},")
        found.measure(by_factors.named())
        if len(pairs := list(itertools.pairwise(by_factors))) == 0:
            raise found.not_judged("there are products of one number of matrices only")
        found.compare(*by_factors.order(*pairs))
    return found.judgement()


_SHOWN = 1, 2, 4, 6


def draw(table: pd.DataFrame) -> plots.Figure:
    """Histograms of every draw with the law as a line, and both numbers of the tails by number of factors."""
    figure, (left, right) = plots.new_figure(2, columns=2)
    found = spectra(table)
    plots.log_y(left, "density")
    for count in (shown for shown in _SHOWN if shown in {key[0] for key in found}):
        draws = [values for (factors, _), values in found.items() if factors == count]
        _draw_histograms(left, draws, count)
    left.set(title="(a) singular values, every draw", xlabel="singular value", ylim=(2e-3, 30))
    plots.legend_inside(left, "upper right")
    plots.log_y(right, "of the singular values")
    for statistic, look, words in (
        (kurtosis, plots.Look(plots.BLACK, "o", "-"), "kurtosis"),
        (tail, plots.Look(plots.VERMILION, "s", "--"), "99th percentile / median"),
    ):
        plots.median_band(right, frame(found, statistic), "factors", look, words)
    plots.plain_numbers(right.yaxis)
    matrices.factors_axis(right)
    right.set_title("(b) tails")
    plots.legend_inside(right, "upper left")
    return figure


def _draw_histograms(axes: plots.Panel, draws: list[np.ndarray], count: int) -> None:
    """The histogram of each draw, thin, and the law of the singular values s: ``2 s ρ(s²)``."""
    law, look = ProductLaw(count), matrices.LOOKS[count]
    top = law.edge**0.5
    edges = np.linspace(0, 1.04 * top, 27)
    for values in draws:
        heights, _ = np.histogram(values, edges, density=True)
        axes.stairs(heights, edges, color=look.color, alpha=0.35, linewidth=0.8, baseline=None)
    s = top * np.linspace(0.002, 0.9999, 400)
    height = 2 * s * law.density(s**2)
    plots.curve(axes, s, height, look.color)
    marked = slice(10 + 15 * count, None, 100)
    plots.markers(axes, s[marked], height[marked], look, matrices.name(count), hollow=False)


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig8",
    question="Does the tail of the singular values grow heavier as more random matrices are multiplied?",
    method=(
        "Square matrices with independent Gaussian entries are multiplied one after another, and all singular values "
        "of every product are computed. The draws share nothing; the products of one draw share their first factors."
    ),
    caption=(
        "(a) Histograms of the singular values of products of M Gaussian matrices with entries of variance 1/N: thin "
        "lines are single draws, thick lines with markers the law of Theorem 1, 2sρ(s²) for a singular value s. (b) "
        f"Kurtosis, and 99th percentile in units of the median: {MEDIAN_BAND}."
    ),
    profiles=PRODUCTS,
    list_cells=lambda profile: combinations(multiply_matrices, profile, entries=(GAUSSIAN,)),
    rules=claim.rules,
    draw=draw,
)
