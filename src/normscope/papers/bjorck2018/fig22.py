"""Fig. 22: the terms whose sum is the gradient of one weight.

Without norms the terms of a weight with a large gradient lie on one side of 0. The terms of weights with smaller
gradients are centred around 0.
"""

import pandas as pd

from normscope.papers.bjorck2018.cells.alignment import weight_terms
from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.looks import LOOKS
from normscope.papers.bjorck2018.profiles.alignment import WEIGHTS
from normscope.papers.bjorck2018.profiles.initial import InitialProfile
from normscope.papers.bjorck2018.readings.alignment import distance, of_pick, terms_histogram
from normscope.papers.shared import Findings, Samples, combinations, contrasts
from normscope.protocol import Cell, Claims, FixedExperiment, Judgement, select
from normscope.report import plots

claim = Claims("Bjorck et al. 2018, App. M, Fig. 22")
LAYER, _AGREE = 90, 0.5


@claim(
    "skewed",
    "Without norms the terms of a weight's gradient are not all the same, but their distribution is skewed far from 0.",
    f"layer {LAYER}, the weight with the largest |Σ d|: |Σ d| / Σ|d| at least {_AGREE} unnormalized, and larger than "
    "that of BN's",
)
def skewed(table: pd.DataFrame) -> Judgement:
    runs = of_pick(table, "largest", "alignment", LAYER)
    alignment = Samples.of("|Σ d| / Σ|d| of the weight with the largest gradient,", runs, NETWORKS)
    found = Findings(alignment.named("batch"))
    found.compare(contrasts.level(f"{alignment.unit} unnormalized", alignment["none"], least=_AGREE))
    found.compare(*alignment.order(("batch", "none")))
    return found.judgement()


@claim(
    "centred",
    "The terms of weights with smaller gradients are typically centred around 0.",
    f"layer {LAYER}, unnormalized: |mean| / std of the terms of the weight with the median |Σ d| below that of the "
    "weight with the largest",
)
def centred(table: pd.DataFrame) -> Judgement:
    by_pick = {
        pick: select(distance(table, pick, LAYER), norm="none").set_index("seed")["value"]
        for pick in ("largest", "median")
    }
    found = Findings(
        {f"|mean| / std of the {pick} gradient's terms": v.median() for pick, v in by_pick.items()}
    )
    zeros = select(of_pick(table, "median", "zeros", LAYER), norm="none")["value"]
    found.measure({"share of the median gradient's terms that are 0": zeros.median()})
    name = "|mean| / std of the terms, median gradient / largest"
    found.compare(contrasts.below(name, by_pick["median"], by_pick["largest"]))
    return found.judgement()


_PANELS = (("none", "largest"), ("none", "median"), ("batch", "largest"))


def draw(table: pd.DataFrame) -> plots.Figure:
    """The histograms of the terms of three weights, the first seed."""
    figure, panels = plots.new_figure(3, columns=3, share_y=True)
    for letter, axes, (norm, pick) in zip("abc", panels, _PANELS, strict=True):
        edges, counts, numbers = terms_histogram(table, pick, norm, LAYER)
        plots.log_y(axes, "terms in a bin")
        axes.stairs(counts, edges, fill=True, color=LOOKS[norm].color, alpha=0.45)
        axes.axvline(0, color=plots.GREY, linewidth=0.8)
        axes.axvline(
            numbers["mean"], color=plots.BLUE, linestyle="--", linewidth=1.4, label="mean of the terms"
        )
        axes.set(title=f"({letter}) {NETWORKS[norm]}, {pick} gradient", xlabel="d, the terms of the gradient")
        remark = f"$|\\Sigma d| / \\Sigma|d|$ = {numbers['alignment']:.2g}\n{numbers['zeros']:.0%} of the terms are 0"
        axes.annotate(remark, (0.03, 0.97), xycoords="axes fraction", va="top", fontsize=8, color="0.3")
        axes.locator_params(axis="x", nbins=6)
        plots.label_edges(axes, left=letter == "a", bottom=True)
    panels[0].set_ylim(0.7)
    plots.legend_below(figure)
    return figure


def list_cells(profile: InitialProfile) -> list[Cell]:
    """The terms of both networks' weights."""
    return combinations(weight_terms, profile, norm=NETWORKS, layer_number=[LAYER])


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig22",
    question="What do the terms look like whose sum is the gradient of one weight?",
    method=(
        "The gradient of a weight is the sum of d = ∂L/∂OUTPUT · INPUT over the images of a batch and the positions of "
        f"the kernel. Of the {LAYER}th convolution, the terms are counted of the weight with the largest gradient and "
        "of the one with the median gradient, among the weights with any term that is not 0."
    ),
    caption=(
        f"The terms d of single weights of layer {LAYER} at initialisation, the first seed: (a) without norms, the "
        "weight with the largest gradient; (b) without norms, the weight with the median gradient; (c) with batch "
        "normalization, the weight with the largest gradient. The counts are on a logarithmic scale."
    ),
    profiles=WEIGHTS,
    list_cells=list_cells,
    rules=claim.rules,
    draw=draw,
)
