"""The natural modes of a convolution's weights, in the linear case (§3.1, eqs. 3 to 6).

In the eigenbasis of the input's autocorrelation the weight error decays mode by mode, ``v_k(n) = (1 − ηMλ_k)ⁿ v_k(0)``:
stable while ``0 < η < 2/(Mλ_max)``, with time constants ``τ_k = −1/ln|1 − ηMλ_k|``. The paper derives it;
here it is measured.
"""

import numpy as np
import pandas as pd

from normscope.papers.chai2020.cells.linear_descent import descend
from normscope.papers.chai2020.profiles import NATURAL_MODES, SHARES
from normscope.papers.chai2020.readings.modes import amplitudes, excess, time_constants
from normscope.papers.shared import combinations, draw_lines, seed_count
from normscope.protocol import Claims, FixedExperiment, Judgement, NotJudgedError, select
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND

claim = Claims("Chai et al. 2020, §3.1")
SLOW, BELOW, ABOVE = SHARES


@claim(
    "modes-decay",
    "Each mode of the weight error decays on its own, by the same factor at every step, in the eigenbasis of the "
    "input's autocorrelation.",
    "every mode of every run equals (1 − ηMλ_k)ⁿ v_k(0) to a relative 1e-6 (of 1e-7 of the whole weight error where it "
    "is smaller than that)",
    at="eq. 6",
)
def modes_decay(table: pd.DataFrame) -> Judgement:
    modes = amplitudes(table)
    worst = modes.groupby("share")["error"].agg(lambda errors: errors.max(skipna=False))
    measured = {f"largest error at {share:g} × bound": float(value) for share, value in worst.items()}
    measured["share of amplitudes below 1e-7 of the whole"] = float(1 - modes["visible"].mean())
    return Judgement(measured, bool((worst <= 1e-6).all()), seed_count(modes, "share"))


@claim(
    "time-constants",
    "A mode decays with the time constant −1/ln|1 − ηMλ_k|: the smaller its eigenvalue, the longer it takes.",
    "measured time constant of every mode of every run equals −1/ln|1 − ηMλ_k| to a relative 1e-6",
    at="after eq. 6",
)
def time_constants_hold(table: pd.DataFrame) -> Judgement:
    constants = time_constants(table)
    if constants.empty:
        raise NotJudgedError("no mode is above rounding after its first step")
    worst = float((constants["measured"] / constants["law"] - 1).abs().max(skipna=False))
    slow = constants[constants["share"] == constants["share"].min()]["measured"]
    measured = {
        "largest relative error": worst,
        "modes timed": float(len(constants)),
        "fastest, steps": float(slow.min()),
        "slowest, steps": float(slow.max()),
    }
    return Judgement(measured, worst <= 1e-6, seed_count(constants, "share"))


@claim(
    "stability-bound",
    "The weight update is stable for 0 < η < 2/(Mλ_max): the largest eigenvalue sets the bound.",
    "in every run: at 0.99 of the bound the loss falls throughout, its excess over the minimum to below 1 % of its "
    "start; at 1.01 of it the excess ends above 100 × its start, still rising",
    at="after eq. 6",
)
def stability_bound(table: pd.DataFrame) -> Judgement:
    losses = excess(table)
    below, above = select(losses, share=BELOW), select(losses, share=ABOVE)
    low, high = (side.groupby("seed")["value"].last() for side in (below, above))
    falls = below.groupby("seed")["value"].diff().dropna().lt(0).all()
    rises = above.groupby("seed")["value"].apply(lambda run: run.iloc[-1] > run.iloc[-2]).all()
    worst, least = float(low.max(skipna=False)), float(high.min(skipna=False))
    measured = {f"largest excess at {BELOW:g} × bound": worst, f"smallest excess at {ABOVE:g} × bound": least}
    holds = bool(falls and rises and (low < 0.01).all() and (high > 100).all())
    return Judgement(measured, holds, seed_count(losses[losses["share"] != SLOW], "share"))


_COLORS = {"o": plots.BLACK, "v": plots.BLUE, "s": plots.VERMILION, "D": plots.SKY, "^": plots.ORANGE}
_LOOKS = [plots.Look(color, marker) for marker, color in _COLORS.items()]
_RATES = {SLOW: _LOOKS[1], BELOW: _LOOKS[0], ABOVE: _LOOKS[2]}
_NAMES = {share: f"{share:g} of the bound" for share in SHARES}


def draw(table: pd.DataFrame) -> plots.Figure:
    """Amplitudes of a few modes, every mode's time constant, and the loss at each learning rate."""
    figure, (left, middle, right) = plots.new_figure(3, columns=3)
    for axes in (left, middle, right):
        axes.set(xscale="log", yscale="log")
    _draw_amplitudes(left, amplitudes(table))
    _draw_time_constants(middle, time_constants(table))
    measured, law = (excess(table, measure).query("step > 0") for measure in ("excess", "excess_law"))
    for share, look in _RATES.items():
        expected = law[law["share"] == share].groupby("step")["value"].median()
        plots.curve(right, expected.index, expected, look.color)
    draw_lines(right, measured, "step", _NAMES, _RATES, "share")
    right.set(title="(c) stability", xlabel="step n", ylabel="excess loss  [of its start]")
    for axes, place in ((left, "lower left"), (middle, "lower left"), (right, "upper left")):
        plots.legend_inside(axes, place)
    return figure


def _draw_amplitudes(axes: plots.Panel, modes: pd.DataFrame) -> None:
    """Five modes of one run, from the largest eigenvalue to the smallest, with the law as lines."""
    run = select(modes, share=SLOW, seed=modes["seed"].min())
    for place, look in zip((1, 0.95, 0.75, 0.4, 0), _LOOKS, strict=True):
        index = round(int(run["index"].max()) * place)
        mode = run[run["index"] == index].set_index("step")[["law", "amplitude"]]
        shown = (mode / mode["law"][0]).abs().drop(0)
        plots.curve(axes, shown.index, shown["law"], look.color)
        label = rf"$\lambda_{{{index + 1}}}$"
        plots.markers(axes, shown.index, shown["amplitude"], look, label, hollow=False)
    axes.set(title=f"(a) modes at {SLOW:g} of the bound", ylim=(1e-7, 2), xlabel="step n")
    axes.set_ylabel(r"$|v_k(n)\,/\,v_k(0)|$")


def _draw_time_constants(axes: plots.Panel, constants: pd.DataFrame) -> None:
    """Every mode of every run against ηMλ_k, with the law and its approximation for slow modes as lines."""
    lowest = float(constants.loc[constants["shrinkage"] > 0, "shrinkage"].min())
    for ends, label in (((lowest, 1 - 1e-3), r"$-1/\ln|1-\eta M\lambda_k|$"), ((1 + 1e-3, 2 - 1e-3), "")):
        shrinkage = np.geomspace(*ends, 400)
        plots.curve(axes, shrinkage, -1 / np.log(np.abs(1 - shrinkage)), plots.GREY, label)
    plots.curve(axes, [lowest, 2], [1 / lowest, 1 / 2], plots.GREY, r"$1/(\eta M\lambda_k)$", ":")
    for share, look in _RATES.items():
        decaying = constants[(constants["share"] == share) & (constants["law"] > 0)]
        plots.markers(axes, decaying["shrinkage"], decaying["measured"], look, _NAMES[share])
    axes.set(title="(b) time constants", xlabel=r"$\eta M\lambda_k$", ylabel=r"$\tau_k$  [steps]")


EXPERIMENT = FixedExperiment(
    id="chai2020.natural_modes",
    question=(
        "Does gradient descent on a convolution's weights fall apart into modes that decay as (1 − ηMλ_k)ⁿ, and does "
        "the largest eigenvalue of the input's autocorrelation set the stable rate?"
    ),
    method=(
        "One 5×5 convolution without nonlinearity learns a known noisy response to real images by full-batch descent "
        "through the framework's own gradient, in float64. Its weight error is read in the eigenbasis of the input's "
        "exact autocorrelation and compared with the closed form."
    ),
    caption=(
        "(a) Five of the 25 natural modes of one run, numbered by ascending eigenvalue, (b) the time constant of "
        "every mode that decays, all seeds, and (c) the loss above the Wiener solution's at three learning rates in "
        f"units of the stability bound 2/(Mλ_max): {MEDIAN_BAND}. Markers are measured, lines the closed form."
    ),
    profiles=NATURAL_MODES,
    list_cells=lambda profile: combinations(descend, profile, share=SHARES),
    rules=claim.rules,
    draw=draw,
)
