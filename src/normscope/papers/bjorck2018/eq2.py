"""Eq. 2: the noise of stochastic gradients, ``E‖α∇f − α∇_SGD‖² = α²M/|B|``.

A larger rate has the effect of a smaller batch: the step is noisier. For a network without norms only: with batch
normalization, the loss of an example depends on its batch.
"""

import pandas as pd

from normscope.papers.bjorck2018.cells.noise import sample_noise
from normscope.papers.bjorck2018.profiles.diverging import NOISE, NoiseProfile
from normscope.papers.bjorck2018.readings.noise import noises, rates, slopes
from normscope.papers.shared import Findings, combinations, contrasts
from normscope.protocol import Cell, Claims, FixedExperiment, Judgement
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND

claim = Claims("Bjorck et al. 2018, §2")
_SLOPE, _NEAR = -1.0, 0.1
_LOOKS = (
    plots.Look(plots.VERMILION, "s", "none"),
    plots.Look(plots.BLACK, "o", "none"),
    plots.Look(plots.BLUE, "^", "none"),
)


@claim(
    "slope",
    "The noise of a stochastic gradient step is inversely proportional to the size of the batch.",
    "without norms, sampling with replacement: slope of log noise against log |B| from −1.1 to −0.9",
    at="eq. 2",
)
def slope(table: pd.DataFrame) -> Judgement:
    rate = max(rates(table))
    found = Findings({"rate": rate})
    by_seed = slopes(noises(table, rate))
    found.compare(
        contrasts.level("slope of log noise", by_seed, least=_SLOPE - _NEAR, most=_SLOPE + _NEAR),
    )
    found.measure({"slope by the law": float(slopes(noises(table, rate, law=True)).median())})
    return found.judgement()


def list_cells(profile: NoiseProfile) -> list[Cell]:
    """The network without norms, of every seed."""
    return combinations(
        sample_noise,
        profile,
        norm=["none"],
        batch=[profile.batch],
        sizes=[profile.sizes],
        rates=[profile.rates],
        draws=[profile.draws],
    )


def draw(table: pd.DataFrame) -> plots.Figure:
    """The noise against the size of the batch: markers as sampled and a line by the law, for each rate."""
    figure, (axes,) = plots.new_figure(1)
    plots.log_y(axes, r"$E\Vert\alpha\nabla f - \alpha\nabla_{\mathrm{SGD}}\Vert^2$")
    axes.set(xscale="log", xlabel="examples in a batch, |B|")
    for rate, look in zip(rates(table), _LOOKS, strict=False):
        law = noises(table, rate, law=True).groupby("index")["value"].median()
        plots.curve(axes, law.index, law, look.color, dashes=":")
        plots.median_band(axes, noises(table, rate), "index", look, f"α = {rate:g}")
    plots.curve(axes, [], [], plots.GREY, "α²M/|B|", ":")
    plots.plain_numbers(axes.xaxis)
    plots.legend_below(figure)
    return figure


EXPERIMENT = FixedExperiment(
    id="bjorck2018.eq2",
    question="How does the noise of a stochastic gradient step depend on the learning rate and the size of the batch?",
    method=(
        "Batches are drawn with replacement from a fixed set of images, and the gradient of each is compared with that "
        "of the whole set. M comes from the gradients of all examples, one by one."
    ),
    caption=(
        "Mean squared distance between a step on a batch and the step on all images, against the number of images in "
        f"the batch: {MEDIAN_BAND}. The dotted lines are α²M/|B|."
    ),
    profiles=NOISE,
    list_cells=list_cells,
    rules=claim.rules,
    draw=draw,
)
