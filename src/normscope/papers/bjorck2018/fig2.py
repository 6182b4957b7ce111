"""Fig. 2: the gradients of one convolution's weights at initialisation, as a histogram.

Without norms the gradients are larger by orders of magnitude, and their tails are heavier.
"""

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018.cells.gradients import BINS, kernel_gradients
from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.looks import LOOKS
from normscope.papers.bjorck2018.profiles.initial import INITIAL
from normscope.papers.bjorck2018.readings.gradients import histogram, kernel_statistic
from normscope.papers.shared import Findings, combinations, contrasts
from normscope.protocol import Claims, FixedExperiment, Judgement
from normscope.report import plots

claim = Claims("Bjorck et al. 2018, §3.1, Fig. 2")
LAYER, _TIMES_LARGER = 55, 30


@claim(
    "larger",
    "Without norms the gradients are almost two orders of magnitude larger.",
    f"mean |gradient| over the weights of layer {LAYER}: unnormalized at least {_TIMES_LARGER}× BN's",
)
def larger(table: pd.DataFrame) -> Judgement:
    sizes = kernel_statistic(table, "mean |gradient|", "mean_abs", LAYER)
    roots = kernel_statistic(table, "root mean square", "rms", LAYER)
    found = Findings({**sizes.named(), **roots.named()})
    found.compare(sizes.ratio("none", "batch", least=_TIMES_LARGER))
    return found.judgement()


@claim(
    "heavier-tails",
    "Without norms the gradients are distributed with heavier tails.",
    f"kurtosis of the gradients of layer {LAYER}: BN < unnormalized",
)
def heavier_tails(table: pd.DataFrame) -> Judgement:
    tails = kernel_statistic(table, "kurtosis", "kurtosis", LAYER)
    found = Findings(tails.named())
    found.compare(
        contrasts.ratio("kurtosis unnormalized / BN", tails["none"], tails["batch"], least=1.0, strict=True)
    )
    return found.judgement()


def draw(table: pd.DataFrame) -> plots.Figure:
    """A histogram a network, each with a scale of its own, and the normal distribution of the same spread."""
    figure, panels = plots.new_figure(2, columns=2, share_y=True)
    for letter, axes, norm in zip("ab", panels, ("batch", "none"), strict=True):
        edges, counts, statistics = histogram(table, norm, LAYER)
        plots.log_y(axes, "weights in a bin")
        axes.stairs(counts, edges, fill=True, color=LOOKS[norm].color, alpha=0.45)
        x = np.linspace(edges[0], edges[-1], 400)
        shape = np.exp(-0.5 * ((x - statistics["mean"]) / statistics["std"]) ** 2) / np.sqrt(2 * np.pi)
        normal = statistics["count"] * (edges[1] - edges[0]) / statistics["std"] * shape
        label = "" if letter == "b" else "normal distribution of the same mean and spread"
        plots.curve(axes, x, normal, plots.BLUE, label, "--")
        axes.set(
            title=f"({letter}) {NETWORKS[norm]}, layer {LAYER}",
            xlabel="gradient of the loss with respect to a weight",
        )
        axes.locator_params(axis="x", nbins=6)
        plots.label_edges(axes, left=letter == "a", bottom=True)
    panels[0].set_ylim(0.7)
    plots.legend_below(figure)
    return figure


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig2",
    question="How large are the gradients of a convolution's weights at initialisation, and how are they distributed?",
    method=(
        "One backward pass on one batch, with the mean cross-entropy as loss, through networks that start from the "
        f"same weights. The gradients of the {LAYER}th convolution's weights are counted in {BINS} bins."
    ),
    caption=(
        f"Gradients of the weights of layer {LAYER} at initialisation, the first seed: (a) with batch normalization, "
        "(b) without norms. The horizontal scales differ, as in the paper; the counts are on a logarithmic scale. "
        "Dashed: the normal distribution of the same mean and standard deviation."
    ),
    profiles=INITIAL,
    list_cells=lambda profile: combinations(kernel_gradients, profile, norm=NETWORKS),
    rules=claim.rules,
    draw=draw,
)
