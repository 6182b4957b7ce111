"""Fig. 3: the mean and the variance of the convolutions' output channels by depth, at initialisation.

Without norms both grow exponentially with depth. With BN they stay within bounds; along the first convolutions of the
blocks, which read the sum of all blocks below, the variance grows linearly.
"""

import pandas as pd

from normscope.papers.bjorck2018.cells.moments import channel_moments
from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.looks import LOOKS
from normscope.papers.bjorck2018.profiles.initial import INITIAL
from normscope.papers.bjorck2018.readings.moments import (
    FIRST,
    SECOND,
    along,
    by_depth,
    first,
    fit,
    last,
    slope,
    steepness,
)
from normscope.papers.shared import Findings, combinations, contrasts
from normscope.protocol import Claims, FixedExperiment, Judgement, select
from normscope.report import plots
from normscope.report.plots import Look

claim = Claims("Bjorck et al. 2018, §3.1, Fig. 3")
_LEAST_FIT, _TOP_VARIANCE, _GROWTH, _MOST_GROWTH, _TIMES_FLATTER = 0.9, 100.0, 1e4, 100.0, 20
_MOMENTS = {"mean_abs": "mean |channel mean|", "variance": "channel variance"}


@claim(
    "exponential",
    "Without norms the means and variances of channels grow almost exponentially with depth.",
    f"unnormalized, along the first and along the second convolutions of the blocks: the logarithms of mean |channel "
    f"mean| and of channel variance are linear in the layer, R² at least {_LEAST_FIT}",
)
def exponential(table: pd.DataFrame) -> Judgement:
    found = Findings()
    for measure, words in _MOMENTS.items():
        moments = by_depth(table, measure)
        for position in (FIRST, SECOND):
            slopes = along(
                moments, f"slope of log {words} per layer, {position} convolutions,", position, slope
            )
            found.measure(slopes.named())
            fits = along(moments, words, position, fit)["none"]
            found.compare(contrasts.level(f"R² of {words}, {position} convolutions", fits, least=_LEAST_FIT))
    return found.judgement()


@claim(
    "large-at-the-top",
    "Without norms the network transforms a normalized input into an output of scales up to 10².",
    f"unnormalized: channel variance at the last convolution at least {_TOP_VARIANCE:g}, and over that of the first "
    f"block, along the first convolutions of the blocks, at least {_GROWTH:g}×",
)
def large_at_the_top(table: pd.DataFrame) -> Judgement:
    variances = by_depth(table, "variance")
    top, found = along(variances, "variance at the last convolution", SECOND, last), Findings()
    found.measure(top.named())
    # A ratio to 1: over seeds, the logarithm of the variance is what is nearly normal.
    ones = dict.fromkeys(top["none"].index, 1.0)
    found.compare(contrasts.ratio("variance at the last convolution", top["none"], ones, least=_TOP_VARIANCE))
    found.compare(_grows(variances, "none", least=_GROWTH))
    return found.judgement()


@claim(
    "stays-with-bn",
    "With BN the means and variances stay relatively constant throughout the network.",
    f"BN: variance along the first convolutions of the blocks grows at most {_MOST_GROWTH:g}× (with the sum of the "
    f"blocks, linearly in depth); along the second ones, the slopes of log mean |channel mean| and of log variance per "
    f"layer are at least {_TIMES_FLATTER}× smaller than unnormalized",
)
def stays_with_bn(table: pd.DataFrame) -> Judgement:
    found = Findings()
    found.compare(_grows(by_depth(table, "variance"), "batch", most=_MOST_GROWTH))
    for measure, words in _MOMENTS.items():
        unit = f"|slope| of log {words} per layer, second convolutions,"
        slopes = along(by_depth(table, measure), unit, SECOND, steepness)
        found.measure(slopes.named())
        # As a difference: BN's slope may be as good as 0, and the logarithm of a ratio to it says nothing.
        name = f"{unit} unnormalized − {_TIMES_FLATTER} × BN"
        found.compare(contrasts.difference(name, slopes["none"], _TIMES_FLATTER * slopes["batch"], least=0.0))
    return found.judgement()


def _grows(
    variances: pd.DataFrame, norm: str, least: float = 0.0, most: float = float("inf")
) -> contrasts.Contrast:
    """The last of the blocks' first convolutions over the first of them."""
    ends = (along(variances, "variance", FIRST, end)[norm] for end in (last, first))
    name = f"variance at the last / at the first block, first convolutions, {NETWORKS[norm]}"
    return contrasts.ratio(name, *ends, least=least, most=most)


def draw(table: pd.DataFrame) -> plots.Figure:
    """A panel a moment: a line for each network and position in the block, with the spread over channels."""
    figure, panels = plots.new_figure(2, columns=2)
    for letter, axes, (measure, words) in zip("ab", panels, _MOMENTS.items(), strict=True):
        plots.log_y(axes, words)
        values, spreads = by_depth(table, measure), by_depth(table, f"{measure}_spread")
        for norm, network in NETWORKS.items():
            for position, dashes in ((FIRST, "-"), (SECOND, ":")):
                look = Look(LOOKS[norm].color, "", dashes)
                runs = select(values, norm=norm, position=position)
                plots.median_band(axes, runs, "number", look, f"{network}, {position} convolutions")
                _draw_spread(axes, runs, select(spreads, norm=norm, position=position), look)
        axes.set(title=f"({letter}) {words}", xlabel="layer")
    plots.legend_below(figure)
    return figure


def _draw_spread(axes: plots.Panel, values: pd.DataFrame, spreads: pd.DataFrame, look: Look) -> None:
    """An error bar of one standard deviation over channels at every ninth layer of a position."""
    middle, spread = (runs.groupby("number")["value"].median().iloc[4::9] for runs in (values, spreads))
    axes.errorbar(
        middle.index, middle, spread, color=look.color, linestyle="none", elinewidth=0.9, capsize=2, alpha=0.8
    )


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig3",
    question="How do the mean and the variance of a network's channels grow with depth at initialisation?",
    method=(
        "One forward pass of one batch through networks that start from the same weights. The mean and the variance of "
        "every output channel of every convolution are those that batch normalization measures, or would measure."
    ),
    caption=(
        "(a) Mean over channels of |channel mean| and (b) mean over channels of the channel variance, by layer: median "
        "and quartiles over seeds. The first and the second convolutions of the blocks alternate, and are drawn apart. "
        "Error bars, at some layers: one standard deviation over the layer's channels; one that reaches below 0 ends "
        "at the lower edge."
    ),
    profiles=INITIAL,
    list_cells=lambda profile: combinations(channel_moments, profile, norm=NETWORKS),
    rules=claim.rules,
    draw=draw,
)
