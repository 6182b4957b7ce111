"""Fig. 4 and §3.2: what scaling a convolution's input channels does to its autocorrelation.

A patch is a block vector, one block a channel, so R is made of blocks. Multiplying channel c by a_c multiplies block
(c, c) by a_c² and block (c, c') by a_c a_c'. The eigenvalues follow only as far as the channels are decorrelated; then
each channel's are scaled by its own a_c². This is how normalization, which scales channels, acts on eigenvalues.
"""

import itertools

import numpy as np
import pandas as pd

from normscope.papers.chai2020.cells.scaled_inputs import SCALINGS, scale_channels
from normscope.papers.chai2020.profiles import CORRELATIONS, FIG4
from normscope.papers.chai2020.readings.scaled_inputs import RUN, SETTING, distances, eigenvalues
from normscope.papers.shared import Findings, Samples, combinations, contrasts, seed_count, side_by_side
from normscope.protocol import Claims, FixedExperiment, Judgement, select
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND

claim = Claims("Chai et al. 2020, §3.2")
_EQUAL = 1.25


@claim(
    "blocks-scale",
    "Scaling channel c of the input by a_c scales block (c, c) of its autocorrelation by a_c².",
    "in every run: each entry exactly for factors that are powers of two; to 1e-12 of the block's largest for "
    "1/√(P + ε)",
)
def blocks_scale(table: pd.DataFrame) -> Judgement:
    errors = scale_channels.rows(table, measure="block_error")
    worst = {name: float(select(errors, scaling=name)["value"].max(skipna=False)) for name in SCALINGS}
    measured = {f"largest error, {SCALINGS[name]}": value for name, value in worst.items()}
    holds = worst["powers_of_two"] <= 0 and worst["unit_power"] <= 1e-12
    return Judgement(measured, holds, seed_count(errors, *SETTING))


@claim(
    "decorrelated",
    "Decorrelated channels have their eigenvalues scaled exactly by their own a_c².",
    "in every run without correlation: every eigenvalue of R equals the blocks' own times a_c², to a relative 1e-6 "
    "(of 1e-7 of the largest where it is smaller than that)",
)
def decorrelated(table: pd.DataFrame) -> Judgement:
    pairs = select(eigenvalues(table), correlation=0.0)
    floor = 1e-7 * pairs.groupby(RUN)["own"].transform("max")
    errors = (pairs["measured"] - pairs["own"]).abs() / pairs["own"].clip(lower=floor)
    worst = float(errors.max(skipna=False))
    measured = {"largest relative error": worst, "eigenvalues compared": float(len(pairs))}
    return Judgement(measured, worst <= 1e-6, seed_count(pairs, *SETTING))


@claim(
    "mixture",
    "Correlated channels have their eigenvalues scaled by a mixture of all channels' factors; the more they are "
    "decorrelated, the closer these come to their own channel's.",
    "for both sets of factors: at the real correlation the largest eigenvalue is off by more than a factor 1.25, and "
    "the eigenvalues' distance to the scaled blocks' own falls with every step of decorrelation",
)
def mixture(table: pd.DataFrame) -> Judgement:
    runs = distances(table)
    tops = select(eigenvalues(table), correlation=1.0).groupby(["scaling", "seed"])[["measured", "own"]].max()
    found = Findings()
    for scaling, words in SCALINGS.items():
        names = {share: f"at {share:g}" for share in CORRELATIONS}
        by_share = Samples.of(f"distance, {words},", runs, names, "correlation", scaling=scaling)
        top = tops.loc[scaling]
        found.compare(
            contrasts.ratio(
                f"λ_max / blocks' own, {words}", top["measured"], top["own"], least=_EQUAL, strict=True
            )
        )
        found.compare(*by_share.order(*itertools.pairwise(sorted(names))))
        found.measure(by_share.named(0.0, 0.5, 1.0))
    return found.judgement()


_BOTH = plots.Look(plots.BLUE, "v", "-."), plots.Look(plots.VERMILION, "s", "-")
_LOOKS = dict(zip(SCALINGS, _BOTH, strict=True))


def draw(table: pd.DataFrame) -> plots.Figure:
    """Blocks by factor, one run's eigenvalues with and without correlation, and the distance by correlation."""
    figure, (left, middle, right) = plots.new_figure(3, columns=3)
    real, channel = scale_channels.rows(table, correlation=1.0), ["scaling", "seed", "channel"]
    channels = side_by_side(real, ("factor", "block_ratio"), channel)
    squares = channels["factor"] ** 2
    ends = squares.min() / 1.5, squares.max() * 1.5
    left.set(title="(a) blocks on the diagonal", xscale="log", yscale="log", xlabel=r"$a_c^2$")
    plots.curve(left, ends, ends, plots.GREY, r"$a_c^2$")
    for name, look in _LOOKS.items():
        chosen, label = channels["scaling"] == name, f"factors {SCALINGS[name]}"
        plots.markers(left, squares[chosen], channels["block_ratio"][chosen], look, label)
        plots.median_band(right, select(distances(table), scaling=name), "correlation", look, label)
    left.set_ylabel(r"trace of block $(c,c)$, after / before")
    _draw_eigenvalues(middle, eigenvalues(table))
    right.set(title="(c) from correlated to decorrelated", xlabel="share of the channels' correlation left")
    right.set_ylabel(r"$\Sigma_i|\lambda_i-\lambda_i^\circ|\,/\,\Sigma_i\lambda_i$")
    for axes, place in ((left, "upper left"), (middle, "lower left"), (right, "upper left")):
        plots.legend_inside(axes, place)
    return figure


def _draw_eigenvalues(axes: plots.Panel, pairs: pd.DataFrame) -> None:
    """One run's eigenvalues, by rank from the largest, for real and for decorrelated channels."""
    run = select(pairs, scaling="unit_power", seed=pairs["seed"].min()).sort_values("index", ascending=False)
    own = select(run, correlation=0.0)["own"].sort_values(ascending=False)
    axes.set(title="(b) eigenvalues, channels to power 1", xscale="log", yscale="log", xlabel="rank")
    for share, look, words in zip((0.0, 1.0), _LOOKS.values(), ("decorrelated", "as they are"), strict=True):
        measured = select(run, correlation=share)["measured"]
        plots.markers(axes, np.arange(1, len(measured) + 1), measured, look, f"channels {words}")
    plots.curve(axes, np.arange(1, len(own) + 1), own, plots.BLACK, r"the blocks' own, $\times\,a_c^2$")
    axes.set_ylabel(r"$\lambda$  [input power]")


EXPERIMENT = FixedExperiment(
    id="chai2020.channel_scaling",
    question=(
        "When a convolution's input channels are scaled, as a norm scales them, do the eigenvalues of the input's "
        "autocorrelation scale with them?"
    ),
    method=(
        "The exact autocorrelation of the second convolution's input is measured before and after its channels are "
        "scaled. The input is the LeNet's own on real images; its channels are decorrelated, wholly or in part, by "
        "showing each image with its channels' signs flipped in every balanced pattern, which leaves each channel's "
        "block as it was."
    ),
    caption=(
        "(a) Power of each channel's block of R after scaling over before, real activations, all seeds. (b) "
        "Eigenvalues of one run whose channels were scaled to power 1: with the channels as they are, and "
        "decorrelated, and the eigenvalues of the diagonal blocks times a_c². (c) Distance between the eigenvalues of "
        "R and those of its blocks times a_c², as a share of the input's power, against the share of correlation "
        f"left: {MEDIAN_BAND}."
    ),
    profiles=FIG4,
    list_cells=lambda profile: combinations(
        scale_channels, profile, scaling=SCALINGS, correlation=CORRELATIONS
    ),
    rules=claim.rules,
    draw=draw,
)
