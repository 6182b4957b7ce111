"""Fig. 7: the size of the gradients between each input and output channel of one convolution.

Without norms some channels have large gradients throughout and others small ones, so the matrix is of low rank.
"""

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm

from normscope.papers.bjorck2018.cells.gradients import kernel_gradients
from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.looks import LOOKS
from normscope.papers.bjorck2018.profiles.initial import INITIAL
from normscope.papers.bjorck2018.readings.gradients import (
    first_share,
    of_pairs,
    pair_gradients,
    singular_shares,
    variation_of_inputs,
    variation_of_outputs,
)
from normscope.papers.shared import Findings, combinations, contrasts, draw_lines
from normscope.protocol import Claims, FixedExperiment, Judgement
from normscope.report import plots

claim = Claims("Bjorck et al. 2018, §3.5, Fig. 7")
LAYER, _TIMES_AS_UNEVEN = 45, 2
_COLOURS = (0.01, 10.0)
"""The ends of the colour scale, in units of the matrix's mean."""

_SHARES = (1e-5, 1.2)
"""The shares of singular values that are shown; what is below comes from dead channels and rounding."""


@claim(
    "uneven-channels",
    "Without norms some input and output channels have consistently large gradients and others small ones.",
    f"coefficient of variation of the mean |gradient| by input channel and by output channel of layer {LAYER}: "
    f"unnormalized at least {_TIMES_AS_UNEVEN}× BN's",
)
def uneven_channels(table: pd.DataFrame) -> Judgement:
    found = Findings()
    for side, statistic in (("input", variation_of_inputs), ("output", variation_of_outputs)):
        uneven = of_pairs(table, f"variation of {side} channels", LAYER, statistic)
        found.measure(uneven.named())
        found.compare(uneven.ratio("none", "batch", least=_TIMES_AS_UNEVEN))
    return found.judgement()


@claim(
    "low-rank",
    "Without norms the matrix of gradient sizes has a low-rank structure, which disappears with BN.",
    f"share of the first singular value in the nuclear norm, layer {LAYER}: BN < unnormalized",
)
def low_rank(table: pd.DataFrame) -> Judgement:
    shares = of_pairs(table, "share of the first singular value", LAYER, first_share)
    found = Findings(shares.named())
    name = "share of the first singular value, unnormalized − BN"
    found.compare(contrasts.difference(name, shares["none"], shares["batch"], least=0.0, strict=True))
    return found.judgement()


def _singular_shares(table: pd.DataFrame) -> pd.DataFrame:
    """Each singular value's share in the nuclear norm: norm, seed, number (from 1), value."""
    runs = []
    for norm in NETWORKS:
        for seed, matrix in pair_gradients(table, norm, LAYER).items():
            shares = singular_shares(matrix)
            run = {"norm": norm, "seed": seed, "number": range(1, len(shares) + 1), "value": shares}
            runs.append(pd.DataFrame(run))
    return pd.concat(runs)


def draw(table: pd.DataFrame) -> plots.Figure:
    """The matrix of the first seed of each network as an image, and the singular values of all."""
    figure, (left, middle, right) = plots.new_figure(3, columns=3)
    low, high = _COLOURS
    for letter, axes, norm in (("a", left, "none"), ("b", middle, "batch")):
        _, matrix = min(pair_gradients(table, norm, LAYER).items())
        with np.errstate(invalid="ignore"):
            shown = np.clip(matrix / matrix.mean(), low, high)
        image = axes.imshow(shown, cmap="viridis", norm=LogNorm(low, high), rasterized=True)
        axes.grid(visible=False)
        axes.set(
            title=f"({letter}) {NETWORKS[norm]}, layer {LAYER}",
            xlabel="input channel",
            ylabel="output channel",
        )
        colours = figure.colorbar(
            image, ax=axes, extend="both", shrink=0.9, label="mean |gradient| / its mean"
        )
        plots.plain_numbers(colours.ax.yaxis)
    plots.log_y(right, "share in the sum of all")
    draw_lines(right, _singular_shares(table), "number", NETWORKS, LOOKS)
    right.set(
        title="(c) singular values of the matrix", xlabel="singular value, from the largest", ylim=_SHARES
    )
    plots.legend_inside(right, "lower left")
    return figure


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig7",
    question="Do some channels of a convolution have large gradients throughout, and others small ones?",
    method=(
        "One backward pass on one batch, through networks that start from the same weights. |gradient| is averaged "
        "over the kernel between each input and output channel."
    ),
    caption=(
        f"Mean |gradient| of the kernel between each input and output channel of layer {LAYER} at initialisation, in "
        "units of the matrix's mean: (a) without norms, (b) with batch normalization, the first seed. (c) The matrix's "
        "singular values over their sum: median and quartiles over seeds."
    ),
    profiles=INITIAL,
    list_cells=lambda profile: combinations(kernel_gradients, profile, norm=NETWORKS),
    rules=claim.rules,
    draw=draw,
)
