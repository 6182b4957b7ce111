"""Fig. 12: the largest singular value of products of random matrices.

The paper expects linear growth, since the support of Theorem 1 ends at (M+1)^(M+1)/M^M, and sees less. The theorem is
of the squares: the largest singular value itself grows as the root.
"""

import itertools

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018 import matrices
from normscope.papers.bjorck2018.cells.products import multiply_matrices
from normscope.papers.bjorck2018.profiles.matrices import PRODUCTS
from normscope.papers.bjorck2018.readings.products import (
    GAUSSIAN,
    frame,
    judged,
    largest,
    largest_by_law,
    spectra,
)
from normscope.papers.shared import Findings, combinations, contrasts
from normscope.protocol import Claims, FixedExperiment, Judgement
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND
from normscope.report.plots import Look
from normscope.theory.random_matrices import ProductLaw

claim = Claims("Bjorck et al. 2018, App. E, Fig. 12")
_WITHIN = 0.05


@claim(
    "largest-grows",
    "The largest singular value increases with the number of matrices in the product.",
    "with every factor up to the sixth: a larger σ_max",
)
def largest_grows(table: pd.DataFrame) -> Judgement:
    by_factors = judged(table, largest, "σ_max,")
    found = Findings(by_factors.named())
    found.compare(*by_factors.order(*itertools.pairwise(by_factors)))
    return found.judgement()


@claim(
    "edge",
    "The largest singular value is at the upper end of the support of Theorem 1, of which it is the root.",
    "σ_max of products of matrices with 1,000 rows within 5 % of √((M+1)^(M+1)/M^M) for every M",
    at="Theorem 1",
)
def edge(table: pd.DataFrame) -> Judgement:
    unit = "σ_max / √((M+1)^(M+1)/M^M),"
    by_factors = judged(table, largest_by_law, unit)
    found = Findings()
    for count, words in by_factors.names.items():
        values = by_factors[count]
        found.compare(contrasts.level(f"{unit} {words}", values, least=1 - _WITHIN, most=1 + _WITHIN))
    return found.judgement()


def draw(table: pd.DataFrame) -> plots.Figure:
    """σ_max by number of factors with the law's root and what the paper expected; and σ_max in units of the root."""
    figure, (left, right) = plots.new_figure(2, columns=2)
    found, look = spectra(table), Look(plots.BLACK, "o")
    counts = np.array(sorted({count for count, _ in found}))
    edges = np.array([ProductLaw(int(count)).edge for count in counts])
    plots.curve(left, counts, edges**0.5, plots.BLUE, "root of the support's end")
    plots.curve(left, counts, edges, plots.GREY, "the support's end", "--")
    for axes, statistic in ((left, largest), (right, largest_by_law)):
        runs = frame(found, statistic)
        plots.median_band(axes, runs, "factors", look, "measured, median")
        plots.markers(axes, runs["factors"], runs["value"], Look(plots.VERMILION, "_"), "measured, each draw")
        matrices.factors_axis(axes)
    left.set(title="(a) largest singular value", ylabel=r"$\sigma_{\max}$")
    right.set(title="(b) in units of the root", ylim=(0.93, 1.07))
    right.set_ylabel(r"$\sigma_{\max}$ / root of the support's end")
    right.axhspan(1 - _WITHIN, 1 + _WITHIN, color="0.93", zorder=0)
    right.axhline(1, color=plots.BLUE, linewidth=1.2, zorder=1)
    plots.legend_inside(left, "upper left")
    return figure


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig12",
    question="How fast does the largest singular value grow as more random matrices are multiplied?",
    method=(
        "Square matrices with independent Gaussian entries of variance 1/N are multiplied one after another. The "
        "largest singular value of each product is compared with the root of the upper end of Theorem 1's support, "
        "which is of the squares."
    ),
    caption=(
        "(a) Largest singular value of products of M Gaussian matrices with entries of variance 1/N. The support of "
        "Theorem 1 ends at (M+1)^(M+1)/M^M; the dashed line is what the paper expected, the solid line its root. (b) "
        f"The same in units of the root, with 5 % on either side in grey. Measured: {MEDIAN_BAND}, and every draw."
    ),
    profiles=PRODUCTS,
    list_cells=lambda profile: combinations(multiply_matrices, profile, entries=(GAUSSIAN,)),
    rules=claim.rules,
    draw=draw,
)
