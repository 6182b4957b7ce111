"""Fig. 18 and App. K: a channel's mean before the ReLU, its outgoing gradients, and what it adds to the layer above.

Without norms, channels of large mean have large gradients and dominate the layer above; channels of large negative mean
are dead behind the ReLU.
"""

import pandas as pd

from normscope.papers.bjorck2018.cells.gradients import channel_contributions, kernel_gradients
from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.looks import LOOKS
from normscope.papers.bjorck2018.profiles.initial import INITIAL, InitialProfile
from normscope.papers.bjorck2018.readings.gradients import (
    input_channels,
    of_pairs,
    pair_gradients,
    rank_correlations,
    variation_of_inputs,
)
from normscope.papers.shared import Findings, combinations, contrasts
from normscope.protocol import Cell, Claims, FixedExperiment, Judgement, select
from normscope.report import plots
from normscope.report.plots import Look

claim = Claims("Bjorck et al. 2018, App. I.1, Fig. 18")
LAYER, _CORRELATED, _TIMES_AS_UNEVEN = 35, 0.7, 2
_MEAN = "channel mean before the ReLU"


def _correlated(table: pd.DataFrame, column: str, name: str) -> Findings:
    """The rank correlation of channel means with another column, without norms."""
    ranks = rank_correlations(input_channels(table, LAYER), "none", "channel_mean", column)
    found = Findings()
    found.compare(contrasts.level(name, ranks, least=_CORRELATED))
    return found


@claim(
    "means-decide",
    "Without norms the weights that leave a channel of large mean have large gradients.",
    f"layer {LAYER}, unnormalized: rank correlation of the channels' means before the ReLU and the mean |gradient| of "
    f"their outgoing weights at least {_CORRELATED:g}",
)
def means_decide(table: pd.DataFrame) -> Judgement:
    return _correlated(table, "gradient", "rank correlation of mean and |gradient|").judgement()


@claim(
    "scale-of-channels",
    "With BN all channels have equally large gradients on average.",
    f"layer {LAYER}: coefficient of variation of the mean |gradient| by input channel, unnormalized at least "
    f"{_TIMES_AS_UNEVEN}× BN's",
)
def scale_of_channels(table: pd.DataFrame) -> Judgement:
    uneven = of_pairs(table, "variation of input channels", LAYER, variation_of_inputs)
    found = Findings(uneven.named())
    found.compare(uneven.ratio("none", "batch", least=_TIMES_AS_UNEVEN))
    return found.judgement()


@claim(
    "dominating",
    "The channels of large mean have the largest effect on the layer above.",
    f"layer {LAYER}, unnormalized: rank correlation of the channels' means before the ReLU and their mean contribution "
    f"to the layer's output at least {_CORRELATED:g}",
    at="App. K",
)
def dominating(table: pd.DataFrame) -> Judgement:
    found = _correlated(table, "contribution", "rank correlation of mean and contribution")
    channels = input_channels(table, LAYER).groupby(["norm", "seed"])["contribution"]
    shares = (channels.max() / channels.sum()).groupby("norm").median()
    found.measure(
        {f"share of the largest contribution, {NETWORKS[norm]}": shares[norm] for norm in shares.index}
    )
    return found.judgement()


def list_cells(profile: InitialProfile) -> list[Cell]:
    """Gradients and contributions of both networks."""
    functions = (kernel_gradients, channel_contributions)
    return [cell for function in functions for cell in combinations(function, profile, norm=NETWORKS)]


def _outgoing(table: pd.DataFrame, norm: str, channels: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of a network's first seed: its channels, and a row a kernel with its channel's mean and its own |gradient|."""
    seed, matrix = min(pair_gradients(table, norm, LAYER).items())
    run = select(channels, norm=norm, seed=seed)
    kernels = pd.DataFrame(matrix).melt(var_name="channel", value_name="gradient")
    return run, kernels.merge(run[["channel", "channel_mean"]], on="channel")


def draw(table: pd.DataFrame) -> plots.Figure:
    """Gradients against means, a panel a network, and contributions against means."""
    figure, (left, middle, right) = plots.new_figure(3, columns=3)
    channels = input_channels(table, LAYER)
    middle.sharex(left)
    middle.sharey(left)
    for letter, axes, norm in (("a", left, "none"), ("b", middle, "batch")):
        run, kernels = _outgoing(table, norm, channels)
        plots.log_y(axes, "mean |gradient|")
        dots, full = Look("0.65", "."), LOOKS[norm]
        of_kernel = "weights to one output channel" if letter == "a" else ""
        plots.markers(axes, kernels["channel_mean"], kernels["gradient"], dots, of_kernel, hollow=False)
        of_channel = f"all weights that leave a channel, {NETWORKS[norm]}"
        plots.markers(axes, run["channel_mean"], run["gradient"], full, of_channel, hollow=False)
        axes.set(title=f"({letter}) {NETWORKS[norm]}, layer {LAYER}", xlabel=_MEAN)
    plots.log_y(right, "mean |contribution| to the output")
    for norm in NETWORKS:
        run, _ = _outgoing(table, norm, channels)
        plots.markers(right, run["channel_mean"], run["contribution"], LOOKS[norm], hollow=False)
    right.set(title=f"(c) contributions, layer {LAYER}", xlabel=_MEAN)
    plots.legend_below(figure, [left, middle])
    return figure


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig18",
    question="Does a channel's mean decide how large the gradients of its outgoing weights are?",
    method=(
        f"At initialisation, the means of the channels before the ReLU in front of layer {LAYER} are compared with the "
        "gradients of the weights that leave them. A channel's contribution is the mean size of the part of the "
        "layer's output that comes from it alone."
    ),
    caption=(
        f"Input channels of layer {LAYER} at initialisation, the first seed: mean |gradient| of the weights that leave "
        "a channel against its mean before the ReLU, (a) without norms and (b) with batch normalization, whose means "
        "are 0. Small points are the weights to one output channel. (c) Mean size of what a channel adds to the "
        "layer's output."
    ),
    profiles=INITIAL,
    list_cells=list_cells,
    rules=claim.rules,
    draw=draw,
)
