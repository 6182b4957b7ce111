"""Fig. 23: the size of each weight's gradient against the sum of its terms' sizes.

Without norms many weights of a layer lie near the diagonal: their terms agree in sign. With batch normalization
none do.
"""

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018.cells.alignment import WeightAlignment, weight_alignment
from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.looks import LOOKS
from normscope.papers.bjorck2018.profiles.alignment import WEIGHTS
from normscope.papers.bjorck2018.readings.alignment import by_weight
from normscope.papers.shared import Findings, Samples, combinations, contrasts
from normscope.protocol import Claims, FixedExperiment, Judgement, select
from normscope.report import plots

claim = Claims("Bjorck et al. 2018, App. M, Fig. 23")
LAYER = WeightAlignment.layer_number
_NEAR, _FAR = 0.2, 0.05
_ACROSS, _UP = 1e-5, 1e-7
"""How far the axes reach, as shares of the largest value; smaller ones are drawn at the edges."""


@claim(
    "diagonal",
    "Without norms many weights lie on an almost straight line, |Σ d| ≈ Σ|d|; with BN this relationship disappears.",
    f"layer {LAYER}, median over the weights with any term that is not 0 of |Σ d| / Σ|d|: unnormalized at least "
    f"{_NEAR}, BN at most {_FAR}",
)
def diagonal(table: pd.DataFrame) -> Judgement:
    weights = by_weight(table, LAYER)
    runs = weights.groupby(["norm", "seed"])["ratio"]
    ratios = Samples.of("median of |Σ d| / Σ|d|,", runs.median().rename("value").reset_index(), NETWORKS)
    found = Findings()
    for norm, bounds in (("none", {"least": _NEAR}), ("batch", {"most": _FAR})):
        found.compare(contrasts.level(f"{ratios.unit} {NETWORKS[norm]}", ratios[norm], **bounds))
    counted: pd.Series[float] = runs.count() / runs.size()
    found.measure(
        {
            f"share of weights with any term, {name}": float(counted.xs(norm).median())
            for norm, name in NETWORKS.items()
        }
    )
    return found.judgement()


def draw(table: pd.DataFrame) -> plots.Figure:
    """A point a weight, the first seed: a panel a network, on the same axes, with lines of equal ratio."""
    figure, panels = plots.new_figure(2, columns=2, share_y=True)
    weights = by_weight(table, LAYER)
    weights = weights[weights["seed"] == weights.groupby("norm")["seed"].transform("min")]
    sizes = weights["abs_terms"].replace([0.0, np.inf], np.nan).dropna()
    most = 1.0 if sizes.empty else 2 * sizes.max()
    for letter, axes, norm in zip("ab", panels, NETWORKS, strict=True):
        run = select(weights, norm=norm)
        across, up = run["abs_terms"].clip(lower=_ACROSS * most), run["abs_gradient"].clip(lower=_UP * most)
        axes.set(xscale="log", yscale="log", xlim=(_ACROSS * most, most), ylim=(_UP * most, most))
        axes.plot(
            across, up, LOOKS[norm].marker, color=LOOKS[norm].color, markersize=1.6, alpha=0.3, rasterized=True,
            markeredgewidth=0, linestyle="none",
        )  # fmt: skip
        for ratio, dashes in ((1, "-"), (_NEAR, "--"), (_FAR, ":")):
            label = (
                r"$|\Sigma d|$" + f" = {ratio:g}" + r" $\Sigma|d|$"
                if ratio < 1
                else r"$|\Sigma d| = \Sigma|d|$"
            )
            ends = np.array([_ACROSS * most, most])
            plots.curve(axes, ends, ratio * ends, plots.BLUE, label, dashes)
        axes.set(
            title=f"({letter}) {NETWORKS[norm]}, layer {LAYER}",
            xlabel=r"$\Sigma|d|$, over the number of terms",
        )
    panels[0].set_ylabel(r"$|\Sigma d|$, over the number of terms")
    plots.legend_below(figure)
    return figure


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig23",
    question="For which weights of a layer does the gradient add up over images and positions?",
    method=(
        "The gradient of a weight is the sum of d = ∂L/∂OUTPUT · INPUT over the images of a batch and the positions of "
        f"the kernel. For every weight of the {LAYER}th convolution, the absolute value of the sum is compared with "
        "the sum of the absolute values."
    ),
    caption=(
        f"Each weight of layer {LAYER} at initialisation, the first seed: |Σ d| against Σ|d|, both divided by the "
        "number of terms, (a) without norms and (b) with batch normalization. What is below the axes is drawn at their "
        "edges; no point can lie above the full line."
    ),
    profiles=WEIGHTS,
    list_cells=lambda profile: combinations(weight_alignment, profile, norm=NETWORKS),
    rules=claim.rules,
    draw=draw,
)
