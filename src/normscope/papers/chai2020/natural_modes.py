"""The natural modes of a convolution's weights, in the linear case (§3.1, eqs. 3 to 6).

In the eigenbasis of the input's autocorrelation the weight error decays mode by mode, ``v_k(n) = (1 − ηMλ_k)ⁿ v_k(0)``:
stable while ``0 < η < 2/(Mλ_max)``, with time constants ``τ_k = −1/ln|1 − ηMλ_k|``. The paper derives this and does not
measure it; here a real convolution is trained on real digits and its weights are read in that basis.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from normscope.papers.chai2020.linear_descent import LinearDescent, descend
from normscope.papers.chai2020.mode_readings import amplitudes, excess, time_constants
from normscope.protocol import Cell, FixedExperiment, Judgement, NotJudgedError, Scale, claim, select
from normscope.report.plots import Look, Panel, median_band, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_SOURCE = "Chai et al. 2020, §3.1"
BELOW, ABOVE = 0.99, 1.01
"""The learning rates on both sides of the stability bound, in units of it."""

SHARES = (0.4, BELOW, ABOVE)
TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class DescentProfile:
    """The settings of one scale: data set, images and steps of a descent, and how many seeds."""

    data: str
    images: int
    steps: int
    seeds: int

    def describe(self) -> dict[str, str]:
        """The settings in words."""
        return {
            "data": f"{self.images:,} training images of {self.data}, drawn by the seed, zero-padded to 32×32",
            "filter": "one 5×5 convolution, M = 784 output positions, float64",
            "steps": f"{self.steps:,} of full-batch gradient descent",
            "seeds": str(self.seeds),
            "learning rates": f"{', '.join(f'{share:g}' for share in SHARES)} × 2/(Mλ_max)",
        }


PROFILES = {
    Scale.QUICK: DescentProfile("mnist5k", 32, 250, 3),
    Scale.LAPTOP: DescentProfile("mnist", 100, 500, 5),
    Scale.PAPER: DescentProfile("mnist", 1_000, 500, 10),
}


@claim(
    "modes-decay",
    "In the eigenbasis of the input's autocorrelation each mode of the weight error decays on its own, by the same "
    "factor at every step.",
    f"{_SOURCE}, eq. 6",
    "every mode of every run equals (1 − ηMλ_k)ⁿ v_k(0) to a relative 1e-6 (of 1e-7 of the whole weight error where it "
    "is smaller than that)",
)
def modes_decay(table: pd.DataFrame) -> Judgement:
    """Measured amplitudes against the law."""
    modes = amplitudes(table)
    worst = {
        share: float(modes.loc[modes["share"] == share, "error"].max(skipna=False))
        for share in sorted(modes["share"].unique())
    }
    measured = {f"largest error at {share:g} × bound": value for share, value in worst.items()}
    measured["share of amplitudes below 1e-7 of the whole"] = float(1 - modes["visible"].mean())
    return Judgement(measured, all(value <= TOLERANCE for value in worst.values()), _seeds(modes))


@claim(
    "time-constants",
    "A mode decays with the time constant −1/ln|1 − ηMλ_k|: the smaller its eigenvalue, the longer it takes.",
    f"{_SOURCE}, after eq. 6",
    "measured time constant of every mode of every run equals −1/ln|1 − ηMλ_k| to a relative 1e-6",
)
def time_constants_hold(table: pd.DataFrame) -> Judgement:
    """Time constants, measured from the amplitudes, against the law."""
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
    return Judgement(measured, worst <= TOLERANCE, _seeds(constants))


@claim(
    "stability-bound",
    "The weight update is stable for 0 < η < 2/(Mλ_max): the largest eigenvalue sets the bound.",
    f"{_SOURCE}, after eq. 6",
    "in every run: at 0.99 of the bound the loss falls throughout, its excess over the minimum to below 1 % of its "
    "start; at 1.01 of it the excess ends above 100 × its start, still rising",
)
def stability_bound(table: pd.DataFrame) -> Judgement:
    """The loss on either side of the bound."""
    losses = excess(table)
    below, above = select(losses, share=BELOW), select(losses, share=ABOVE)
    ends = [side.groupby("seed")["value"].last() for side in (below, above)]
    falls = below.groupby("seed")["value"].diff().dropna().lt(0).all()
    rises = above.groupby("seed")["value"].apply(lambda run: run.iloc[-1] > run.iloc[-2]).all()
    measured = {
        f"largest excess at {BELOW:g} × bound": float(ends[0].max(skipna=False)),
        f"smallest excess at {ABOVE:g} × bound": float(ends[1].min(skipna=False)),
    }
    holds = bool(falls and rises and (ends[0] < 0.01).all() and (ends[1] > 100).all())
    return Judgement(measured, holds, min(_seeds(below), _seeds(above)))


CLAIMS = (modes_decay, time_constants_hold, stability_bound)


def list_cells(profile: DescentProfile) -> list[Cell]:
    """The descents of every learning rate and seed."""
    return [
        descend.cell(LinearDescent(share, seed, profile.data, profile.images, profile.steps))
        for share in SHARES
        for seed in range(profile.seeds)
    ]


_MODE_LOOKS = (
    Look("#000000", "o", "-"),
    Look("#0072B2", "v", "-"),
    Look("#D55E00", "s", "-"),
    Look("#56B4E9", "D", "-"),
    Look("#E69F00", "^", "-"),
)
_SHARE_LOOKS = {
    0.4: Look("#0072B2", "v", "none"),
    BELOW: Look("#000000", "o", "none"),
    ABOVE: Look("#D55E00", "s", "none"),
}


def draw(table: pd.DataFrame) -> Figure:
    """Amplitudes of a few modes, every mode's time constant, and the loss at each learning rate."""
    figure, (left, middle, right) = new_figure(3, columns=3)
    _draw_amplitudes(left, amplitudes(table))
    _draw_time_constants(middle, time_constants(table))
    _draw_excess(right, table)
    return figure


def _draw_amplitudes(axes: Panel, modes: pd.DataFrame) -> None:
    """Five modes of one run, from the largest eigenvalue to the smallest, with the law as lines."""
    share = min(SHARES)
    run = modes[(modes["share"] == share) & (modes["seed"] == modes["seed"].min())]
    if run.empty:
        raise NotJudgedError(f"no descent at {share:g} of the bound")
    last = int(run["index"].max())
    chosen = [round(last * part) for part in (1, 0.95, 0.75, 0.4, 0)]
    for index, look in zip(chosen, _MODE_LOOKS, strict=True):
        mode = run[(run["index"] == index) & (run["step"] > 0)]
        start = float(run.loc[(run["index"] == index) & (run["step"] == 0), "law"].iloc[0])
        axes.plot(mode["step"], (mode["law"] / start).abs(), color=look.color, linewidth=1.4)
        axes.plot(
            mode["step"],
            (mode["amplitude"] / start).abs(),
            color=look.color,
            marker=look.marker,
            linestyle="none",
            markersize=4.5,
            label=rf"$\lambda_{{{index + 1}}}$",
        )
    axes.set(
        title=f"(a) modes at {share:g} of the bound",
        xscale="log",
        yscale="log",
        ylim=(1e-7, 2),
        xlabel="step n",
        ylabel=r"$|v_k(n)\,/\,v_k(0)|$",
    )
    axes.legend(frameon=False, fontsize=8, loc="lower left")


def _draw_time_constants(axes: Panel, constants: pd.DataFrame) -> None:
    """Every mode of every run against ηMλ_k, with the law and its approximation for slow modes as lines."""
    lowest = float(constants.loc[constants["shrinkage"] > 0, "shrinkage"].min())
    for edges, label in (((lowest, 1 - 1e-3), r"$-1/\ln|1-\eta M\lambda_k|$"), ((1 + 1e-3, 2 - 1e-3), None)):
        shrinkage = np.geomspace(*edges, 400)
        axes.plot(
            shrinkage, -1 / np.log(np.abs(1 - shrinkage)), color="0.45", linewidth=1.2, label=label, zorder=1
        )
    ends = np.array([lowest, 2])
    axes.plot(
        ends, 1 / ends, color="0.45", linestyle=":", linewidth=1.2, label=r"$1/(\eta M\lambda_k)$", zorder=1
    )
    for share, look in _SHARE_LOOKS.items():
        decaying = constants[(constants["share"] == share) & (constants["law"] > 0)]
        axes.plot(
            decaying["shrinkage"],
            decaying["measured"],
            color=look.color,
            marker=look.marker,
            linestyle="none",
            fillstyle="none",
            markersize=4.5,
            label=f"{share:g} of the bound",
        )
    axes.set(
        title="(b) time constants",
        xscale="log",
        yscale="log",
        xlabel=r"$\eta M\lambda_k$",
        ylabel=r"$\tau_k$  [steps]",
    )
    axes.legend(frameon=False, fontsize=8, loc="lower left")


def _draw_excess(axes: Panel, table: pd.DataFrame) -> None:
    """The loss above its minimum, median over seeds, with the law's median as a line."""
    measured, law = excess(table), excess(table, "excess_law")
    for share, look in _SHARE_LOOKS.items():
        runs = law[(law["share"] == share) & (law["step"] > 0)]
        middle = runs.groupby("step")["value"].median()
        axes.plot(middle.index, middle, color=look.color, linewidth=1.2)
        runs = measured[(measured["share"] == share) & (measured["step"] > 0)]
        if not runs.empty:
            median_band(axes, runs, "step", look, f"{share:g} of the bound")
    axes.set(
        title="(c) stability",
        xscale="log",
        yscale="log",
        xlabel="step n",
        ylabel="excess loss  [of its start]",
    )
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def _seeds(runs: pd.DataFrame) -> int:
    return int(runs.groupby("share")["seed"].nunique().min())


EXPERIMENT = FixedExperiment(
    id="chai2020.natural_modes",
    question=(
        "Does gradient descent on a convolution's weights fall apart into modes that decay as "
        "(1 − ηMλ_k)ⁿ, and does the largest eigenvalue of the input's autocorrelation set the stable rate?"
    ),
    method=(
        "One 5×5 convolution without nonlinearity learns a known noisy response to real digits by full-batch "
        "descent through the framework's own gradient, in float64. Its weight error is read in the eigenbasis "
        "of the input's exact autocorrelation, beside the closed form."
    ),
    caption=(
        "(a) Five of the 25 natural modes of one run, numbered by ascending eigenvalue, (b) the time constant of every "
        "mode that decays, all seeds, and (c) the loss above the Wiener solution's at three learning rates in units of "
        "the stability bound 2/(Mλ_max): median over seeds, with the band from the first to the third quartile. "
        "Markers are measured, lines the closed form."
    ),
    profiles=PROFILES,
    list_cells=list_cells,
    rules=CLAIMS,
    draw=draw,
)
