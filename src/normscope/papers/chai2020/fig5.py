"""Fig. 5: what each norm does to the power of a convolution's output channels.

Batch normalization takes every channel's power to 1; Amplify only those below the threshold 1, Suppress only those
above it. The paper's figure is a sketch; this one is measured. (Its text, §3.3, swaps the two definitions; its Fig. 5,
their names and all results say what stands here.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from normscope.papers.chai2020.channel_power import channel_power
from normscope.papers.chai2020.lenet import STEPS, VARIANTS, EarlySpectrum
from normscope.protocol import Cell, FixedExperiment, Judgement, NotJudgedError, Scale, claim, select
from normscope.report.plots import Look, Panel, legend_below, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SOURCE = "Chai et al. 2020, §3.3, Fig. 5"
THRESHOLD = 1.0
_EPS = 1e-5
LEAST_VARIANCE = 100 * _EPS
"""Below it a channel's variance is not much larger than the norms' ε, and the channel is not judged."""

TOLERANCE = 0.01
"""A channel of that variance is taken to ``σ²/(σ² + ε)``, which is at most this far from 1."""

_RUN = ["norm", "rate", "seed"]


@dataclasses.dataclass(frozen=True)
class PowerProfile:
    """The settings of one scale: data set, training images, learning rates, and how many seeds."""

    data: str
    images: int
    seeds: int
    rates: tuple[float, ...]

    def describe(self) -> dict[str, str]:
        """The settings in words."""
        return {
            "data": f"{self.data}, first {self.images:,} training images; powers are of the first 64",
            "steps": f"0 and {STEPS}",
            "seeds": str(self.seeds),
            "learning rates": ", ".join(f"{rate:g}" for rate in self.rates),
        }


PROFILES = {
    Scale.QUICK: PowerProfile("mnist5k", 4_000, 3, (0.1, 1.0)),
    Scale.LAPTOP: PowerProfile("mnist", 10_000, 5, (0.01, 0.1, 0.5, 1.0)),
    Scale.PAPER: PowerProfile("mnist", 60_000, 5, (0.01, 0.1, 0.5, 1.0, 2.0)),
}


def channels(table: pd.DataFrame) -> pd.DataFrame:
    """Every channel of every run, before and after training: norm, rate, seed, step, layer, channel, and its powers.

    Raises:
        NotJudgedError: when there are none.
    """
    rows = select(table, function=channel_power.name)
    rows = rows[rows["measure"].isin(("power_in", "variance_in", "power_out"))]
    if rows.empty:
        raise NotJudgedError("no channel's power was measured")
    keys = [*_RUN, "step", "layer", "channel"]
    columns: pd.DataFrame = rows.set_index([*keys, "measure"])["value"].unstack("measure")
    return columns.reset_index()


def _follows(
    table: pd.DataFrame,
    norm: str,
    law: Callable[[pd.Series], pd.Series],
    changed: Callable[[pd.Series], pd.Series],
) -> Judgement:
    """Whether a norm takes each channel's power where the law says."""
    every = select(channels(table), norm=norm)
    judged = every[every["variance_in"] >= LEAST_VARIANCE]
    touched = judged[changed(judged["power_in"])]
    if touched.empty:
        raise NotJudgedError(f"no channel whose power {VARIANTS[norm]} would change")
    off = (judged["power_out"] / law(judged["power_in"]) - 1).abs()
    measured = {
        "largest deviation": float(off.max(skipna=False)),
        "channels changed": float(len(touched)),
        "channels left alone": float(len(judged) - len(touched)),
        "not judged, σ² < 100 ε": float(len(every) - len(judged)),
    }
    return Judgement(measured, bool((off <= TOLERANCE).all()), int(every["seed"].nunique()))


@claim(
    "batchnorm-to-one",
    "BatchNorm takes the power of every channel to 1.",
    _SOURCE,
    "before the affine map, every channel with σ² ≥ 100 ε: power out within 1 % of 1",
)
def batchnorm_to_one(table: pd.DataFrame) -> Judgement:
    """BatchNorm's power out."""
    return _follows(table, "batch", lambda power: power * 0 + THRESHOLD, lambda power: power > 0)


@claim(
    "amplify-raises",
    "BN_Amplify normalizes the channels whose power is below the threshold, and leaves the others.",
    _SOURCE,
    "before the affine map, every channel with σ² ≥ 100 ε: power out within 1 % of max(P, 1)",
)
def amplify_raises(table: pd.DataFrame) -> Judgement:
    """Amplify's power out."""
    return _follows(
        table, "amplify", lambda power: power.clip(lower=THRESHOLD), lambda power: power < THRESHOLD
    )


@claim(
    "suppress-lowers",
    "BN_Suppress normalizes the channels whose power is above the threshold, and leaves the others.",
    _SOURCE,
    "before the affine map, every channel with σ² ≥ 100 ε: power out within 1 % of min(P, 1)",
)
def suppress_lowers(table: pd.DataFrame) -> Judgement:
    """Suppress's power out."""
    return _follows(
        table, "suppress", lambda power: power.clip(upper=THRESHOLD), lambda power: power > THRESHOLD
    )


CLAIMS = (batchnorm_to_one, amplify_raises, suppress_lowers)


def list_cells(profile: PowerProfile) -> list[Cell]:
    """The first steps of every variant, rate and seed."""
    return [
        channel_power.cell(EarlySpectrum(norm, rate, seed, profile.data, profile.images))
        for norm in VARIANTS
        for rate in profile.rates
        for seed in range(profile.seeds)
    ]


_ABOVE, _BELOW = "#E78AC3", "#54278F"
"""The paper's pink and purple, a light one and a dark one."""

_MARKERS = {"conv1": "o", "conv2": "s"}
_NORMS = {norm: name for norm, name in VARIANTS.items() if norm != "none"}
_DEVIATION_LOOKS = {
    "batch": Look("#D55E00", "s", "none"),
    "amplify": Look("#E69F00", "^", "none"),
    "suppress": Look("#0072B2", "v", "none"),
}


def draw(table: pd.DataFrame) -> Figure:
    """A panel a norm with one run's channels, and the deviation from 1 of all that were normalized."""
    found = channels(table)
    trained = found[(found["step"] == STEPS) & (found["norm"] != "none")]
    seed, rate = trained["seed"].min(), trained["rate"].max()
    chosen = trained[(trained["seed"] == seed) & (trained["rate"] == rate)]
    powers = chosen[["power_in", "power_out"]].to_numpy()
    powers = powers[np.isfinite(powers)]
    if not powers.size:
        raise NotJudgedError("no finite channel power after training")
    figure, (*panels, last) = new_figure(len(_NORMS) + 1, columns=2)
    for letter, axes, (norm, name) in zip("abc", panels, _NORMS.items(), strict=True):
        _draw_channels(axes, chosen[chosen["norm"] == norm].sort_values("power_in"))
        axes.set_title(f"({letter}) {name}, after {STEPS} steps at rate {rate:g}")
    for axes in panels:
        axes.set_ylim(powers.min() / 1.5, powers.max() * 1.5)
    _draw_deviations(last, found)
    legend_below(figure)
    return figure


def _draw_channels(axes: Panel, run: pd.DataFrame) -> None:
    """One run's channels in the order of their power: a hollow marker before the norm, joined to a full one after."""
    axes.axhline(THRESHOLD, color="0.4", linestyle="--", linewidth=1.1, zorder=1, label="threshold")
    for rank, (_, channel) in enumerate(run.iterrows(), start=1):
        color = _ABOVE if channel["power_in"] > THRESHOLD else _BELOW
        ends = (channel["power_in"], channel["power_out"])
        axes.plot([rank, rank], ends, color=color, linewidth=1.2, zorder=2)
        for power, fill in zip(ends, ("white", color), strict=True):
            axes.plot(
                rank,
                power,
                _MARKERS[channel["layer"]],
                color=color,
                markerfacecolor=fill,
                markersize=5,
                zorder=3,
            )
    for label, marker, color, fill in (
        ("above it", "D", _ABOVE, _ABOVE),
        ("below it", "D", _BELOW, _BELOW),
        ("first convolution", _MARKERS["conv1"], "0.3", "0.3"),
        ("second convolution", _MARKERS["conv2"], "0.3", "0.3"),
        ("before the norm", "D", "0.3", "white"),
        ("after it", "D", "0.3", "0.3"),
    ):
        axes.plot([], [], marker, color=color, markerfacecolor=fill, markersize=5, label=label)
    axes.set(yscale="log", xlabel="channel, by its power before the norm", ylabel=r"channel power $E[x^2]$")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_deviations(axes: Panel, found: pd.DataFrame) -> None:
    """How far below 1 the norms leave the channels that they normalize, against the variance."""
    normalized = found[found["power_out"].sub(THRESHOLD).abs() < found["power_in"].sub(THRESHOLD).abs()]
    for norm, look in _DEVIATION_LOOKS.items():
        chosen = normalized[normalized["norm"] == norm]
        axes.plot(
            chosen["variance_in"],
            (chosen["power_out"] - 1).abs(),
            color=look.color,
            marker=look.marker,
            linestyle="none",
            fillstyle="none",
            markersize=4,
            label=VARIANTS[norm],
        )
    variances = found.loc[np.isfinite(found["variance_in"]) & (found["variance_in"] > 0), "variance_in"]
    line = np.logspace(
        np.log10(min(LEAST_VARIANCE / 20, variances.min())), np.log10(variances.max() * 1.5), 200
    )
    axes.plot(line, _EPS / (line + _EPS), color="black", linewidth=1.1, label="ε / (σ² + ε)")
    axes.axvspan(line[0], LEAST_VARIANCE, color="0.92", zorder=0)
    axes.annotate(
        "not judged", (LEAST_VARIANCE, 0.04), xycoords=("data", "axes fraction"), xytext=(-4, 0),
        textcoords="offset points", ha="right", fontsize=8, color="0.4",
    )  # fmt: skip
    axes.set(
        title="(d) normalized channels, all runs",
        xscale="log",
        yscale="log",
        xlim=(line[0], line[-1]),
        xlabel="channel variance σ² before the norm",
        ylabel="1 − power after it",
    )
    axes.legend(frameon=False, fontsize=8, loc="upper right")


EXPERIMENT = FixedExperiment(
    id="chai2020.fig5",
    question=(
        "Which channels does each norm change, and what power does it leave them: does Amplify only raise, and "
        "Suppress only lower?"
    ),
    method=(
        "The LeNets of Fig. 6 take five steps of SGD. Before and after them the power E[x²] of every output channel of "
        "both convolutions is measured on one fixed batch, in float64, on either side of the norm without its affine "
        "map."
    ),
    caption=(
        "(a) to (c) Power of each output channel of both convolutions before the norm, hollow, and after it, full, its "
        "affine map left out: the first seed at the highest rate. The threshold of 1 is dashed; channels above it are "
        "pink, those below purple, as in the paper. (d) How far below 1 the channels that were normalized end, all "
        "rates, seeds and both steps, against their variance, and the law's ε/(σ² + ε)."
    ),
    profiles=PROFILES,
    list_cells=list_cells,
    rules=CLAIMS,
    draw=draw,
)
