"""§4: how close plain steps come to NLMS's, the steps of minimum disturbance.

NLMS divides each contribution to the weight step by the power of the patch it comes from. The paper's argument: where
the convolution's input has zero mean and unit variance the division changes nothing (eq. 10), so BN_Prior makes NLMS's
step as long as its γ and β, which start at 1 and 0, stay near.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from normscope.papers.chai2020.noise import ARRANGEMENTS, PLAIN, compare_steps, step_cells
from normscope.papers.chai2020.noise_drawing import LOOKS
from normscope.papers.chai2020.noise_profiles import STEP_PROFILES
from normscope.protocol import FixedExperiment, Judgement, NotJudgedError, claim, select
from normscope.report.plots import Look, Panel, legend_below, median_band, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_SOURCE = "Chai et al. 2020, §4.2"
_NEAR = 0.1
_EQUAL = 1.25


def _measured(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """One measure of every compared step: arrangement, rate, seed, step, value."""
    rows = select(table, function=compare_steps.name, measure=measure)
    return rows[["arrangement", "rate", "seed", "step", "value"]]


def _first_step(table: pd.DataFrame, measure: str, arrangement: str) -> tuple[float, int]:
    """The median over seeds at step 0, which no learning rate has touched yet, and how many seeds."""
    rows = select(_measured(table, measure), arrangement=arrangement, step=0)
    first = rows.drop_duplicates("seed")
    return float(first["value"].median()), len(first)


@claim(
    "closest-at-first-step",
    "At the first step BN_Prior is closer to NLMS than Baseline and than BatchNorm.",
    _SOURCE,
    "at step 0: cosine similarity of the plain weight step and NLMS_L2's, BN_Prior's above Baseline's and BatchNorm's",
)
def closest_at_first_step(table: pd.DataFrame) -> Judgement:
    """The cosines at step 0; with the power as sum, and with NLMS on the input before the norm, for the reader."""
    found = {name: _first_step(table, "cosine_mean", name) for name in PLAIN}
    cosines = {name: cosine for name, (cosine, _) in found.items()}
    sums = {name: _first_step(table, "cosine_sum", name)[0] for name in PLAIN}
    measured = {
        **{f"cosine {ARRANGEMENTS[name].label}": value for name, value in cosines.items()},
        **{f"cosine {ARRANGEMENTS[name].label}, power as sum": value for name, value in sums.items()},
        "cosine BN_Prior, NLMS on the input before the norm": _first_step(table, "cosine_raw", "prior")[0],
    }
    holds = cosines["prior"] > max(cosines["baseline"], cosines["batch"])
    return Judgement(measured, holds, min(seeds for _, seeds in found.values()))


@claim(
    "exact-at-first-step",
    "In the first training step BN_Prior's weight step is NLMS's.",
    _SOURCE,
    "at step 0: BN_Prior's cosine similarity to NLMS_L2's step at least 0.8, and the two lengths within a factor 1.25",
    "Our reading, stricter than the paper's words, and no matter of scale: batch normalization divides by one power "
    "for a channel, NLMS by each patch's own. With patches of equal power the two steps would be parallel; a digit's, "
    "from its empty border to its strokes, are not of equal power",
)
def exact_at_first_step(table: pd.DataFrame) -> Judgement:
    """Direction and length at step 0; the others' lengths for the reader."""
    cosine, seeds = _first_step(table, "cosine_mean", "prior")
    lengths = {name: _first_step(table, "length", name)[0] for name in PLAIN}
    holds = cosine >= 1 / _EQUAL and 1 / _EQUAL <= lengths["prior"] <= _EQUAL
    named = {f"plain / NLMS length {ARRANGEMENTS[name].label}": value for name, value in lengths.items()}
    return Judgement({"cosine BN_Prior": cosine, **named}, holds, seeds)


@claim(
    "stays-close",
    "BN_Prior stays close to NLMS while γ and β stay near 1 and 0.",
    _SOURCE,
    f"at each rate, over the compared steps at which γ − 1 and β have root mean squares of at most {_NEAR:g}: "
    "BN_Prior's mean cosine similarity to NLMS_L2's step at least 0.8 of that at step 0, median over seeds",
)
def stays_close(table: pd.DataFrame) -> Judgement:
    """How much of step 0's cosine is kept near γ = 1, β = 0, and how much after."""
    cosines = select(_measured(table, "cosine_mean"), arrangement="prior")
    gains, biases = (
        _measured(table, measure).rename(columns={"value": measure})
        for measure in ("gain_distance", "bias_distance")
    )
    steps = cosines.merge(gains).merge(biases)
    near = (steps["gain_distance"] <= _NEAR) & (steps["bias_distance"] <= _NEAR)
    measured, holds, seeds = {}, [], []
    for rate in sorted(steps["rate"].unique()):
        here = (steps["rate"] == rate) & (steps["step"] > 0)
        start = steps[(steps["rate"] == rate) & (steps["step"] == 0)].set_index("seed")["value"]
        kept = (steps[here & near].groupby("seed")["value"].mean() / start).dropna()
        after = (steps[here & ~near].groupby("seed")["value"].mean() / start).dropna()
        if kept.empty:
            raise NotJudgedError(f"at rate {rate:g} no step after the first has γ and β near 1 and 0")
        measured[f"kept at {rate:g}"] = float(kept.median())
        measured[f"near steps at {rate:g}"] = float(steps[here & near].groupby("seed").size().median())
        if not after.empty:
            measured[f"kept after at {rate:g}"] = float(after.median())
        holds.append(kept.median() >= 1 / _EQUAL)
        seeds.append(len(kept))
    return Judgement(measured, all(holds), min(seeds))


CLAIMS = (closest_at_first_step, exact_at_first_step, stays_close)

_DISTANCES = {
    "gain_distance": ("γ − 1", {"batch": "-", "prior": "-."}),
    "bias_distance": ("β", {"batch": ":", "prior": "--"}),
}


def draw(table: pd.DataFrame) -> Figure:
    """Columns are rates; rows the cosine, the length and γ's and β's distance, against the step."""
    cosines, lengths = _measured(table, "cosine_mean"), _measured(table, "length")
    rates = sorted(cosines["rate"].unique())
    figure, panels = new_figure(3 * len(rates), columns=len(rates))
    for column, rate in enumerate(rates):
        stack = panels[column :: len(rates)]
        for axes, leftmost in zip(stack, panels[:: len(rates)], strict=True):
            axes.sharey(leftmost)
        top, middle, bottom = stack
        for name in PLAIN:
            label = ARRANGEMENTS[name].label
            _draw_line(top, select(cosines, rate=rate, arrangement=name), LOOKS[name], label)
            _draw_line(middle, select(lengths, rate=rate, arrangement=name), LOOKS[name], label)
        _draw_distances(bottom, table, rate)
        top.set(title=f"rate {rate:g}", ylabel="cosine similarity to NLMS's step", ylim=(0, 1))
        middle.set(yscale="log", ylabel="plain step's length / NLMS's")
        middle.axhline(1, color="0.6", linewidth=0.8, zorder=0)
        _plain_numbers(middle.yaxis)
        bottom.set(ylabel="root mean square over channels", xlabel="step, counted from 1")
        for axes in stack:
            axes.label_outer()
    panels[2 * len(rates)].set_ylim(bottom=0)
    panels[2 * len(rates)].legend(frameon=False, fontsize=8, loc="upper left")
    legend_below(figure)
    return figure


def _draw_line(axes: Panel, rows: pd.DataFrame, look: Look, label: str) -> None:
    """The median and band against the number of the step, counted from 1 on a logarithmic axis."""
    unmarked = Look(look.color, "", look.dashes)
    median_band(axes, rows.assign(step=rows["step"] + 1), "step", unmarked, label)
    axes.set_xscale("log")
    _plain_numbers(axes.xaxis)


def _plain_numbers(axis: Axis) -> None:
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))
    axis.set_minor_formatter(NullFormatter())


def _draw_distances(axes: Panel, table: pd.DataFrame, rate: float) -> None:
    for measure, (symbol, dashes) in _DISTANCES.items():
        rows = select(_measured(table, measure), rate=rate)
        for name, dash in dashes.items():
            look = Look(LOOKS[name].color, "", dash)
            label = f"{symbol}, {ARRANGEMENTS[name].label}"
            _draw_line(axes, rows[rows["arrangement"] == name], look, label)
    axes.axhline(_NEAR, color="0.4", linewidth=0.8, linestyle="--", zorder=0)
    axes.annotate(
        "near",
        (0.99, _NEAR),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="top",
        fontsize=8,
        color="0.4",
    )


EXPERIMENT = FixedExperiment(
    id="chai2020.pmd",
    question=(
        "Does a convolution behind batch normalization, descending plainly, make the steps of minimum disturbance that "
        "NLMS makes?"
    ),
    method=(
        "During one epoch of plain training each weight step of the second convolution is held against the one that "
        "NLMS_L2 makes from the same input and local error: the cosine of the angle between them and the ratio of "
        "their lengths. Beside them stand γ's and β's distances from 1 and 0."
    ),
    caption=(
        "Cosine similarity of the plain weight step and NLMS's (its power a mean over each channel's block of the "
        "patch), the ratio of their lengths, and how far γ and β have moved from 1 and 0, with a line where they stop "
        "counting as near; median over seeds, with the band from the first to the third quartile."
    ),
    profiles=STEP_PROFILES,
    list_cells=step_cells,
    rules=CLAIMS,
    draw=draw,
)
