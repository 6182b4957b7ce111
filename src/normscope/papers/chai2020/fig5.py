"""Fig. 5: what each norm does to the power of a convolution's output channels.

Batch normalization takes every channel's power to 1; Amplify only those below the threshold 1, Suppress only those
above it. The paper's figure is a sketch; this one is measured. (The paper's text, §3.3, swaps the two definitions; its
Fig. 5, their names and all results agree with the definitions used here.)
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from normscope.papers.chai2020.cells.lenet import STEPS, VARIANTS
from normscope.papers.chai2020.cells.powers import channel_power
from normscope.papers.chai2020.profiles import FIG5
from normscope.papers.shared import NORM_LOOKS, combinations, side_by_side
from normscope.protocol import Claims, FixedExperiment, Judgement, NotJudgedError, select
from normscope.report import plots

claim = Claims("Chai et al. 2020, §3.3, Fig. 5")
_EPS, LEAST_VARIANCE, TOLERANCE = 1e-5, 1e-3, 0.01
"""A channel of the least variance is taken to ``σ²/(σ² + ε)``, within 1 % of 1; one of less is not judged."""

_SENTENCE = "{} normalizes the channels whose power is {} the threshold, and leaves the others."
_JUDGED = "before the affine map, every channel with σ² ≥ 100 ε: power out within 1 % of"


def channels(table: pd.DataFrame) -> pd.DataFrame:
    """Every channel before and after training: norm, rate, seed, step, layer, channel, and its powers."""
    keys = ["norm", "rate", "seed", "step", "layer", "channel"]
    return side_by_side(channel_power.rows(table), ("power_in", "variance_in", "power_out"), keys)


def _follows(table: pd.DataFrame, norm: str, law: Callable[[pd.Series], pd.Series]) -> Judgement:
    """Whether a norm takes each channel's power to where the law says."""
    every = select(channels(table), norm=norm)
    judged = every[every["variance_in"] >= LEAST_VARIANCE]
    expected = law(judged["power_in"])
    changed = int((expected != judged["power_in"]).sum())
    if not changed:
        raise NotJudgedError(f"no channel whose power {VARIANTS[norm]} would change")
    off = (judged["power_out"] / expected - 1).abs()
    measured = {
        "largest deviation": float(off.max(skipna=False)),
        "channels changed": float(changed),
        "channels left alone": float(len(judged) - changed),
        "not judged, σ² < 100 ε": float(len(every) - len(judged)),
    }
    return Judgement(measured, bool((off <= TOLERANCE).all()), int(every["seed"].nunique()))


@claim("batchnorm-to-one", "BatchNorm takes the power of every channel to 1.", f"{_JUDGED} 1")
def batchnorm_to_one(table: pd.DataFrame) -> Judgement:
    return _follows(table, "batch", lambda power: power * 0 + 1)


@claim("amplify-raises", _SENTENCE.format("BN_Amplify", "below"), f"{_JUDGED} max(P, 1)")
def amplify_raises(table: pd.DataFrame) -> Judgement:
    return _follows(table, "amplify", lambda power: power.clip(lower=1))


@claim("suppress-lowers", _SENTENCE.format("BN_Suppress", "above"), f"{_JUDGED} min(P, 1)")
def suppress_lowers(table: pd.DataFrame) -> Judgement:
    return _follows(table, "suppress", lambda power: power.clip(upper=1))


_LAYERS = {"conv1": ("o", "first convolution"), "conv2": ("s", "second convolution")}
_ABOVE, _BELOW = "#E78AC3", "#54278F"
"""The paper's pink and purple, a light one and a dark one."""


def draw(table: pd.DataFrame) -> plots.Figure:
    """A panel a norm with one run's channels, and how far from 1 all normalized channels end."""
    found = channels(table)
    trained = found[(found["step"] == STEPS) & (found["norm"] != "none")]
    rate, seed = trained["rate"].max(), trained["seed"].min()
    run = trained[(trained["seed"] == seed) & (trained["rate"] == rate)]
    if not np.isfinite(run[["power_in", "power_out"]]).to_numpy().any():
        raise NotJudgedError("no finite channel power after training")
    figure, panels = plots.new_figure(4, columns=2)
    for letter, axes, norm in zip("abc", panels, ("batch", "amplify", "suppress"), strict=False):
        axes.sharey(panels[0])
        _draw_channels(axes, run[run["norm"] == norm].sort_values("power_in"))
        axes.set_title(f"({letter}) {VARIANTS[norm]}, after {STEPS} steps at rate {rate:g}")
    _draw_deviations(panels[3], found)
    plots.legend_below(figure)
    return figure


def _draw_channels(axes: plots.Panel, run: pd.DataFrame) -> None:
    """One run's channels in the order of their power: a hollow marker before the norm, joined to a full one after."""
    axes.axhline(1, color="0.4", linestyle="--", linewidth=1.1, zorder=1, label="threshold")
    for rank, (_, channel) in enumerate(run.iterrows(), start=1):
        color, (marker, _) = _ABOVE if channel["power_in"] > 1 else _BELOW, _LAYERS[channel["layer"]]
        axes.vlines(rank, channel["power_in"], channel["power_out"], color, linewidth=1.2, zorder=2)
        for power, fill in ((channel["power_in"], "white"), (channel["power_out"], color)):
            (dot,) = axes.plot(rank, power, marker, color=color, markerfacecolor=fill, markersize=5, zorder=3)
            if power <= 0:  # which a logarithmic axis cannot show: at its lower edge
                dot.set(transform=axes.get_xaxis_transform(), clip_on=False)
    for label, marker, color, fill in (
        ("above it", "D", _ABOVE, _ABOVE),
        ("below it", "D", _BELOW, _BELOW),
        *((name, marker, "0.3", "0.3") for marker, name in _LAYERS.values()),
        ("before the norm", "D", "0.3", "white"),
        ("after it", "D", "0.3", "0.3"),
    ):
        axes.plot([], [], marker, color=color, markerfacecolor=fill, markersize=5, label=label)
    axes.set(yscale="log", xlabel="channel, by its power before the norm", ylabel=r"channel power $E[x^2]$")
    plots.whole_numbers(axes.xaxis)


def _draw_deviations(axes: plots.Panel, found: pd.DataFrame) -> None:
    """How far below 1 the norms leave the channels that they normalize, against the variance."""
    normalized = found[(found["power_out"] - 1).abs() < (found["power_in"] - 1).abs()]
    axes.set(title="(d) normalized channels, all runs", xscale="log", yscale="log")
    for norm in ("batch", "amplify", "suppress"):
        chosen = normalized[normalized["norm"] == norm]
        below = (chosen["power_out"] - 1).abs()
        plots.markers(axes, chosen["variance_in"], below, NORM_LOOKS[norm], VARIANTS[norm])
    variances = found.loc[np.isfinite(found["variance_in"]) & (found["variance_in"] > 0), "variance_in"]
    ends = min(LEAST_VARIANCE / 20, variances.min()), variances.max() * 1.5
    law = np.geomspace(*ends, 200)
    plots.curve(axes, law, _EPS / (law + _EPS), plots.BLACK, "ε / (σ² + ε)")
    plots.shade(axes, ends[0], LEAST_VARIANCE, "not judged")
    axes.set(xlabel="channel variance σ² before the norm", ylabel="1 − power after it", xlim=ends)
    plots.legend_inside(axes, "upper right")


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
    profiles=FIG5,
    list_cells=lambda profile: combinations(channel_power, profile, norm=VARIANTS, rate=profile.rates),
    rules=claim.rules,
    draw=draw,
)
