"""What scaling a convolution's input channels does to its autocorrelation (§3.2, Fig. 4).

A patch is a block vector, one block a channel, so R is made of blocks. Multiplying channel c by a_c multiplies block
(c, c) by a_c² and block (c, c') by a_c a_c'. The eigenvalues follow only as far as the channels are decorrelated; then
each channel's are scaled by its own a_c². Through this normalization, which scales channels, acts on eigenvalues.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from normscope.papers.chai2020.scaled_channels import SCALINGS, ScaledChannels, scale_channels
from normscope.protocol import Cell, FixedExperiment, Judgement, NotJudgedError, Scale, claim, select
from normscope.report.plots import Look, Panel, median_band, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SOURCE = "Chai et al. 2020, §3.2"
CORRELATIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Which share of the channels' correlation is left: none, and all that the real activations have."""

EXACT, ROUNDED, SAME_EIGENVALUE = "powers_of_two", 1e-12, 1e-6
_FLOOR = 1e-7
"""Eigenvalues smaller than this share of the largest are compared with that share: their own digits are rounding."""

_APART = 1.25
_RUN = ["scaling", "correlation", "seed"]


@dataclasses.dataclass(frozen=True)
class ScalingProfile:
    """The settings of one scale: data set, images of a batch, and how many seeds."""

    data: str
    images: int
    seeds: int

    def describe(self) -> dict[str, str]:
        """The settings in words."""
        return {
            "data": f"{self.images:,} training images of {self.data}, drawn by the seed, zero-padded to 32×32",
            "input": "the second convolution's, of the untrained baseline LeNet: 6 channels, 5×5 patches, float64",
            "seeds": str(self.seeds),
            "factors": "2^-3 … 2^2 by channel, and 1/√(P + ε) by channel, which takes its power P to 1",
            "correlation": f"{', '.join(f'{share:g}' for share in CORRELATIONS)} of the real channels' own",
        }


PROFILES = {
    Scale.QUICK: ScalingProfile("mnist5k", 32, 3),
    Scale.LAPTOP: ScalingProfile("mnist", 512, 5),
    Scale.PAPER: ScalingProfile("mnist", 2_048, 10),
}


def eigenvalues(table: pd.DataFrame) -> pd.DataFrame:
    """Each eigenvalue of each run beside the scaled blocks' own: scaling, correlation, seed, index, measured, own.

    Raises:
        NotJudgedError: when there are none.
    """
    rows = select(table, function=scale_channels.name)
    measured = select(rows, measure="eigenvalue")[[*_RUN, "index", "value"]]
    own = select(rows, measure="block_eigenvalue")[[*_RUN, "index", "channel", "value"]]
    found = measured.merge(own, on=[*_RUN, "index"], suffixes=("", "_own"))
    return found.rename(columns={"value": "measured", "value_own": "own"}).sort_values([*_RUN, "index"])


def distances(table: pd.DataFrame) -> pd.DataFrame:
    """How far each run's eigenvalues are from the scaled blocks' own: scaling, correlation, seed, value.

    ``Σ|λ_i − λ_i°| / Σλ_i``, both sorted; their sums are the same, the input's power.
    """
    pairs = eigenvalues(table)
    pairs = pairs.assign(gap=(pairs["measured"] - pairs["own"]).abs())
    sums = pairs.groupby(_RUN)[["gap", "measured"]].sum(min_count=1)
    return (sums["gap"] / sums["measured"]).rename("value").reset_index()


@claim(
    "blocks-scale",
    "Scaling channel c of the input by a_c scales block (c, c) of its autocorrelation by a_c².",
    _SOURCE,
    "in every run: each entry exactly for factors that are powers of two; to 1e-12 of the block's largest for "
    "1/√(P + ε)",
)
def blocks_scale(table: pd.DataFrame) -> Judgement:
    """The measured blocks against a_c² times what they were."""
    errors = select(table, function=scale_channels.name, measure="block_error")
    worst = {
        scaling: float(select(errors, scaling=scaling)["value"].max(skipna=False)) for scaling in SCALINGS
    }
    measured = {f"largest error, {SCALINGS[scaling]}": value for scaling, value in worst.items()}
    holds = all(value <= (0 if scaling == EXACT else ROUNDED) for scaling, value in worst.items())
    return Judgement(measured, holds, _seeds(errors))


@claim(
    "decorrelated",
    "Where the channels are completely decorrelated, each channel's eigenvalues are scaled exactly by its a_c².",
    _SOURCE,
    "in every run without correlation: every eigenvalue of R equals the blocks' own times a_c², to a relative 1e-6 "
    "(of 1e-7 of the largest where it is smaller than that)",
)
def decorrelated(table: pd.DataFrame) -> Judgement:
    """The eigenvalues of decorrelated channels against their blocks'."""
    pairs = select(eigenvalues(table), correlation=0.0)
    floor = _FLOOR * pairs.groupby(_RUN)["own"].transform("max")
    errors = (pairs["measured"] - pairs["own"]).abs() / pairs["own"].clip(lower=floor)
    worst = float(errors.max(skipna=False))
    measured = {"largest relative error": worst, "eigenvalues compared": float(len(pairs))}
    return Judgement(measured, worst <= SAME_EIGENVALUE, _seeds(pairs))


@claim(
    "mixture",
    "With correlated channels the eigenvalues are scaled by a mixture of all channels' factors; the more the channels "
    "are decorrelated, the closer they come to their own channel's.",
    _SOURCE,
    "for both sets of factors: at the real correlation the largest eigenvalue is off by more than a factor 1.25, and "
    "the eigenvalues' distance to the scaled blocks' own falls with every step of decorrelation",
)
def mixture(table: pd.DataFrame) -> Judgement:
    """The eigenvalues' distance to the blocks', as the correlation is taken out."""
    runs = distances(table)
    medians = runs.groupby(["scaling", "correlation"])["value"].median().unstack("scaling")
    if missing := [f"{share:g}" for share in CORRELATIONS if share not in medians.index]:
        raise NotJudgedError(f"no runs at correlation {', '.join(missing)}")
    real = select(eigenvalues(table), correlation=1.0)
    tops = real.groupby(["scaling", "seed"])[["measured", "own"]].max()
    measured: dict[str, float] = {}
    holds = True
    for scaling, words in SCALINGS.items():
        if scaling not in medians:
            raise NotJudgedError(f"no runs with factors {words}")
        falling = medians[scaling].sort_index()
        top = float((tops["measured"] / tops["own"]).loc[scaling].median())
        holds &= top > _APART and bool((falling.diff().dropna() > 0).all()) and not falling.isna().any()
        measured[f"λ_max / blocks' own, {words}"] = top
        measured |= {f"distance at {share:g}, {words}": falling[share] for share in (1.0, 0.5, 0.0)}
    return Judgement(measured, holds, _seeds(runs))


CLAIMS = (blocks_scale, decorrelated, mixture)


def list_cells(profile: ScalingProfile) -> list[Cell]:
    """Every set of factors, correlation and seed."""
    return [
        scale_channels.cell(ScaledChannels(scaling, share, seed, profile.data, profile.images))
        for scaling in SCALINGS
        for share in CORRELATIONS
        for seed in range(profile.seeds)
    ]


_SCALING_LOOKS = {"powers_of_two": Look("#0072B2", "v", "-."), "unit_power": Look("#D55E00", "s", "-")}
_CORRELATION_LOOKS = {0.0: Look("#0072B2", "v", "none"), 1.0: Look("#D55E00", "s", "none")}


def draw(table: pd.DataFrame) -> Figure:
    """Blocks by factor, one run's eigenvalues with and without correlation, and the distance by correlation."""
    figure, (left, middle, right) = new_figure(3, columns=3)
    _draw_blocks(left, table)
    _draw_eigenvalues(middle, eigenvalues(table))
    runs = distances(table)
    for scaling, look in _SCALING_LOOKS.items():
        median_band(right, select(runs, scaling=scaling), "correlation", look, f"factors {SCALINGS[scaling]}")
    right.set(
        title="(c) from correlated to decorrelated",
        xlabel="share of the channels' correlation left",
        ylabel=r"$\Sigma_i|\lambda_i-\lambda_i^\circ|\,/\,\Sigma_i\lambda_i$",
    )
    right.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def _draw_blocks(axes: Panel, table: pd.DataFrame) -> None:
    """Each channel's power after over before, against its factor squared."""
    rows = select(table, function=scale_channels.name, correlation=1.0)
    columns = ["scaling", "seed", "channel"]
    channels = rows[rows["measure"].isin(("factor", "block_ratio"))]
    channels = channels.set_index([*columns, "measure"])["value"].unstack("measure").reset_index()
    squares = channels["factor"] ** 2
    ends = np.array([squares.min() / 1.5, squares.max() * 1.5])
    axes.plot(ends, ends, color="0.45", linewidth=1.2, label=r"$a_c^2$", zorder=1)
    for scaling, look in _SCALING_LOOKS.items():
        chosen = channels[channels["scaling"] == scaling]
        axes.plot(
            chosen["factor"] ** 2,
            chosen["block_ratio"],
            color=look.color,
            marker=look.marker,
            linestyle="none",
            fillstyle="none",
            markersize=5,
            label=f"factors {SCALINGS[scaling]}",
        )
    axes.set(
        title="(a) blocks on the diagonal",
        xscale="log",
        yscale="log",
        xlabel=r"$a_c^2$",
        ylabel=r"trace of block $(c,c)$, after / before",
    )
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def _draw_eigenvalues(axes: Panel, pairs: pd.DataFrame) -> None:
    """One run's eigenvalues, by rank from the largest, for real and for decorrelated channels."""
    run = select(pairs, scaling="unit_power", seed=pairs["seed"].min())
    own = select(run, correlation=0.0).sort_values("own", ascending=False)
    rank = np.arange(1, len(own) + 1)
    words = {0.0: "decorrelated", 1.0: "as they are"}
    for share, look in _CORRELATION_LOOKS.items():
        measured = select(run, correlation=share)["measured"].sort_values(ascending=False)
        axes.plot(
            rank,
            measured,
            color=look.color,
            marker=look.marker,
            linestyle="none",
            fillstyle="none",
            markersize=4,
            label=f"channels {words[share]}",
        )
    axes.plot(rank, own["own"], color="black", linewidth=1.1, label=r"the blocks' own, $\times\,a_c^2$")
    axes.set(
        title="(b) eigenvalues, channels to power 1",
        xscale="log",
        yscale="log",
        xlabel="rank",
        ylabel=r"$\lambda$  [input power]",
    )
    axes.legend(frameon=False, fontsize=8, loc="lower left")


def _seeds(runs: pd.DataFrame) -> int:
    return int(runs.groupby(["scaling", "correlation"])["seed"].nunique().min())


EXPERIMENT = FixedExperiment(
    id="chai2020.channel_scaling",
    question=(
        "When a convolution's input channels are scaled, as a norm scales them, do the eigenvalues of the input's "
        "autocorrelation scale with them?"
    ),
    method=(
        "The exact autocorrelation of the second convolution's input is measured before and after its channels are "
        "scaled. The input is the LeNet's own on real digits; its channels are decorrelated, wholly or in part, by "
        "showing each image with its channels' signs flipped in every balanced pattern, which leaves each channel's "
        "block as it was."
    ),
    caption=(
        "(a) Power of each channel's block of R after scaling over before, real activations, all seeds. "
        "(b) Eigenvalues of one run whose channels were scaled to power 1: with the channels as they are, and "
        "decorrelated, beside the eigenvalues of the diagonal blocks times a_c². (c) Distance between the eigenvalues "
        "of R and those of its blocks times a_c², as a share of the input's power, against the share of correlation "
        "left: median over seeds, with the band from the first to the third quartile."
    ),
    profiles=PROFILES,
    list_cells=list_cells,
    rules=CLAIMS,
    draw=draw,
)
