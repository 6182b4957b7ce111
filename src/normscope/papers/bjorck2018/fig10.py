"""Fig. 10: the law of the squared singular values against those of sampled products, for several kinds of entries.

Theorem 1 is of infinitely large Gaussian matrices. The paper adds that such laws hold for a large family of entries
(universality), so that another initialisation would not condition the network better.
"""

import dataclasses

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018 import matrices
from normscope.papers.bjorck2018.cells.products import ENTRIES, multiply_matrices
from normscope.papers.bjorck2018.profiles.matrices import UNIVERSALITY, MatrixProfile
from normscope.papers.bjorck2018.readings.products import GAUSSIAN, distance, frame, judged, opening, spectra
from normscope.papers.shared import Findings, combinations, contrasts, draw_lines
from normscope.protocol import Cell, Claims, FixedExperiment, Judgement
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND
from normscope.theory.random_matrices import ProductLaw

claim = Claims("Bjorck et al. 2018, Theorem 1, Fig. 10")
_DISTANCE, _EQUAL = 0.02, 1.25
_DENSE, _SPARSE = ("uniform", "rademacher", "sparse_10"), "sparse_1"


def _compare_distances(found: Findings, table: pd.DataFrame, entries: str) -> None:
    by_factors = judged(table, distance, "KS distance,", entries)
    for count, words in by_factors.names.items():
        found.compare(contrasts.level(f"KS distance, {words}", by_factors[count], most=_DISTANCE))


@claim(
    "law",
    "The squared singular values of a product of M Gaussian matrices follow the density of eq. 5.",
    "Kolmogorov–Smirnov distance between a draw with 1,000 rows and the law below 0.02 for every M",
    at="eq. 5",
)
def law_holds(table: pd.DataFrame) -> Judgement:
    found = Findings()
    _compare_distances(found, table, GAUSSIAN)
    return found.judgement()


@claim(
    "universality",
    "The law holds for a large family of distributions of the entries.",
    "with uniform entries, entries of ±1, and Gaussian entries of which 10 % are not 0, all of variance 1/N: "
    "Kolmogorov–Smirnov distance between a draw with 1,000 rows and the law below 0.02 for every M",
    at="§4",
)
def universality(table: pd.DataFrame) -> Judgement:
    found = Findings()
    for entries in _DENSE:
        _compare_distances(found, table, entries)
    if _SPARSE in _measured(table):
        found.measure(judged(table, distance, "KS distance,", _SPARSE).named())
        found.remark("entries of which 1 % are not 0 are reported, not judged: they are too few at this size")
    return found.judgement()


@claim(
    "blows-up",
    "The density blows up as x^(−M/(M+1)) near the origin.",
    "slope of the share of squares below x against x on logarithmic axes, from the 6th to the 100th smallest of a draw "
    "with 1,000 rows, within a factor 1.25 of 1/(M+1) for every M",
    at="after eq. 5",
)
def blows_up(table: pd.DataFrame) -> Judgement:
    by_factors = judged(table, opening, "slope × (M+1),")
    found = Findings()
    for count, words in by_factors.names.items():
        level = contrasts.level(f"slope × (M+1), {words}", by_factors[count], least=1 / _EQUAL, most=_EQUAL)
        found.compare(level)
    return found.judgement()


_SHOWN = 1, 2, 4, 6
_LOOKS = {
    "gaussian": plots.Look(plots.BLACK, "o", "-"),
    "uniform": plots.Look(plots.VERMILION, "s", "--"),
    "rademacher": plots.Look(plots.BLUE, "v", "-."),
    "sparse_10": plots.Look(plots.ORANGE, "^", ":"),
    "sparse_1": plots.Look(plots.GREY, "x", "-"),
}


def draw(table: pd.DataFrame) -> plots.Figure:
    """The law's densities with those of all draws, and the distances by number of factors and kind of entries."""
    figure, (left, right) = plots.new_figure(2, columns=2)
    found = spectra(table)
    left.set(
        xscale="log", yscale="log", title="(a) law and Gaussian draws", xlabel="x, squared singular value"
    )
    for count in (shown for shown in _SHOWN if shown in {key[0] for key in found}):
        squares = np.concatenate([values for (factors, _), values in found.items() if factors == count]) ** 2
        _draw_density(left, squares, count)
    left.set(ylabel="density ρ(x)", xlim=(1e-5, 30), ylim=(1e-4, 1e4))
    plots.legend_inside(left, "lower left")
    plots.log_y(right, "KS distance")
    runs = [frame(spectra(table, entries), distance).assign(entries=entries) for entries in _measured(table)]
    draw_lines(right, pd.concat(runs), "factors", ENTRIES, _LOOKS, "entries")
    plots.mark_level(right, _DISTANCE, "bound of the claims")
    plots.plain_numbers(right.yaxis)
    matrices.factors_axis(right)
    right.set_title("(b) distance from the law")
    plots.legend_below(figure, [right])
    return figure


def _measured(table: pd.DataFrame) -> list[str]:
    return [entries for entries in ENTRIES if entries in set(multiply_matrices.rows(table)["entries"])]


def _draw_density(axes: plots.Panel, squares: np.ndarray, count: int) -> None:
    """The density of all draws in bins of equal ratios, and the law."""
    law, look = ProductLaw(count), matrices.LOOKS[count]
    edges = np.geomspace(1e-5, law.edge, 26)
    heights = np.histogram(squares, edges)[0] / len(squares) / np.diff(edges)
    middles = np.sqrt(edges[1:] * edges[:-1])
    x = np.geomspace(1e-5, law.edge * (1 - 1e-6), 500)
    plots.curve(axes, x, law.density(x), look.color)
    plots.markers(axes, middles[heights > 0], heights[heights > 0], look, matrices.name(count))


def list_cells(profile: MatrixProfile) -> list[Cell]:
    """Products with Gaussian entries, and shorter ones, where the profile says so, with the others."""
    shorter = dataclasses.replace(profile, factors=profile.others)
    others = [entries for entries in ENTRIES if entries != GAUSSIAN]
    gaussian = combinations(multiply_matrices, profile, entries=(GAUSSIAN,))
    return [*gaussian, *combinations(multiply_matrices, shorter, entries=others)]


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig10",
    question="Do the squared singular values of products of random matrices follow Theorem 1, whatever the entries?",
    method=(
        "The squared singular values of products of M matrices are compared with the law of Theorem 1. Their entries "
        "are Gaussian, uniform, ±1 or mostly 0, always of variance 1/N."
    ),
    caption=(
        "(a) Density of the squared singular values of products of M Gaussian matrices: lines are the law, markers all "
        "draws in bins of equal ratios. (b) Kolmogorov–Smirnov distance between the squared singular values of a draw "
        f"and the law, by distribution of the entries: {MEDIAN_BAND}."
    ),
    profiles=UNIVERSALITY,
    list_cells=list_cells,
    rules=claim.rules,
    draw=draw,
)
