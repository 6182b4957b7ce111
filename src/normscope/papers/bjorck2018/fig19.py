"""Fig. 19: the gradients of the channels by depth, which are those of their biases.

Without norms they are larger in early layers than in late ones; with batch normalization they are alike in all.
"""

import pandas as pd

from normscope.papers.bjorck2018.cells.gradients import layer_gradients
from normscope.papers.bjorck2018.layers import NETWORKS, is_second
from normscope.papers.bjorck2018.looks import LOOKS
from normscope.papers.bjorck2018.profiles.initial import INITIAL
from normscope.papers.bjorck2018.readings.gradients import sizes_by_layer, thirds
from normscope.papers.shared import Findings, combinations, contrasts, draw_lines
from normscope.protocol import Claims, FixedExperiment, Judgement
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND

claim = Claims("Bjorck et al. 2018, App. I.2, Fig. 19")
_TIMES_LARGER, _ALIKE = 20, 5


def _compare(table: pd.DataFrame, norm: str, least: float, most: float) -> Judgement:
    """Compare a network's lower third of layers with its upper third."""
    lower, upper = thirds(sizes_by_layer(table, "bias_gradient"))
    found = Findings({**lower.named(norm), **upper.named(norm)})
    name = f"lower / upper third, {NETWORKS[norm]}"
    found.compare(contrasts.ratio(name, lower[norm], upper[norm], least=least, most=most))
    return found.judgement()


_MEASURE = "median over layers of the channels' mean |gradient|, both positions in the block pooled"


@claim(
    "early-larger",
    "Without norms the channels' gradients are larger in early layers.",
    f"unnormalized, of the bias: {_MEASURE}: lower third at least {_TIMES_LARGER}× the upper third",
)
def early_larger(table: pd.DataFrame) -> Judgement:
    return _compare(table, "none", _TIMES_LARGER, float("inf"))


@claim(
    "alike-with-bn",
    "With BN the channels' gradients are similarly scaled across all layers.",
    f"BN, of β: {_MEASURE}: lower third within {_ALIKE}× of the upper third",
)
def alike_with_bn(table: pd.DataFrame) -> Judgement:
    return _compare(table, "batch", 1 / _ALIKE, _ALIKE)


def draw(table: pd.DataFrame) -> plots.Figure:
    """The mean |gradient| of the channels by layer, the two positions in the block in a panel each."""
    figure, panels = plots.new_figure(2, columns=2, share_y=True)
    sizes = sizes_by_layer(table, "bias_gradient")
    second = sizes["number"].map(is_second)
    last = float(sizes["number"].max())
    titles = "(a) stem and first convolutions of the blocks", "(b) second convolutions"
    words = ("", ""), ("lower third", "upper third")  # BN's line would cross the words in the first panel
    for axes, title, chosen, (lower, upper) in zip(panels, titles, (~second, second), words, strict=True):
        plots.log_y(axes, "mean |gradient| of a channel's bias")
        plots.shade(axes, 0, last / 3, lower)
        plots.shade(axes, 2 * last / 3, last + 1, upper)
        draw_lines(axes, sizes[chosen], "number", NETWORKS, LOOKS)
        axes.set(title=title, xlabel="layer")
        plots.brief_numbers(axes.yaxis)
    plots.legend_below(figure)
    return figure


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig19",
    question="How large are the gradients of the channels, layer by layer?",
    method=(
        "One backward pass on one batch at initialisation. A channel's gradient is the gradient of its bias: of the "
        "convolution's own without norms, and of the norm's β with batch normalization, since a bias in front of the "
        "norm has none."
    ),
    caption=(
        "Mean over a layer's channels of the |gradient| of their bias at initialisation, by layer: (a) the stem and "
        f"the first convolutions of the blocks, (b) the second convolutions; {MEDIAN_BAND}. The claims "
        "compare the shaded thirds."
    ),
    profiles=INITIAL,
    list_cells=lambda profile: combinations(layer_gradients, profile, norm=NETWORKS),
    rules=claim.rules,
    draw=draw,
)
