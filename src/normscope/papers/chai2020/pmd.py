"""§4: how close plain steps come to NLMS's, the steps of minimum disturbance.

NLMS divides each contribution to the weight step by the power of the patch it comes from. The paper's argument: where
the convolution's input has zero mean and unit variance the division changes nothing (eq. 10), so BN_Prior makes NLMS's
step as long as its γ and β, which start at 1 and 0, stay near.
"""

import dataclasses

import pandas as pd

from normscope.papers.chai2020.cells.noise import LABELS, PLAIN, compare_steps
from normscope.papers.chai2020.fig10 import LOOKS
from normscope.papers.chai2020.profiles import STEP_COMPARISON
from normscope.papers.shared import Findings, Medians, combinations, draw_lines, side_by_side
from normscope.protocol import Claims, FixedExperiment, Judgement, NotJudgedError, select
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND

claim = Claims("Chai et al. 2020, §4.2")
_NEAR, _EQUAL = 0.1, 1.25
_NAMES = {name: LABELS[name] for name in PLAIN}
_DASHES = {
    "gain_distance": ("γ − 1", {"batch": "-", "prior": "-."}),
    "bias_distance": ("β", {"batch": ":", "prior": "--"}),
}


def _first_step(table: pd.DataFrame, measure: str, *arrangements: str) -> Medians:
    """The medians over seeds at step 0, where no learning rate has had an effect yet."""
    first = compare_steps.rows(table, measure=measure, step=0).drop_duplicates(["arrangement", "seed"])
    return Medians.of(first, {name: _NAMES[name] for name in arrangements or PLAIN}, "arrangement")


@claim(
    "closest-at-first-step",
    "At the first step BN_Prior is closer to NLMS than Baseline and than BatchNorm.",
    "at step 0: cosine similarity of the plain weight step and NLMS_L2's, BN_Prior's above Baseline's and BatchNorm's",
)
def closest_at_first_step(table: pd.DataFrame) -> Judgement:
    cosines, sums = (_first_step(table, measure) for measure in ("cosine_mean", "cosine_sum"))
    raw = _first_step(table, "cosine_raw", "prior").named(
        "cosine", after=", NLMS on the input before the norm"
    )
    measured = {**cosines.named("cosine"), **sums.named("cosine", after=", power as sum"), **raw}
    return Judgement(measured, cosines["prior"] > max(cosines["baseline"], cosines["batch"]), cosines.seeds)


@claim(
    "exact-at-first-step",
    "In the first training step BN_Prior's weight step is NLMS's.",
    "at step 0: BN_Prior's cosine similarity to NLMS_L2's step at least 0.8, and the two lengths within a factor 1.25",
    "Our reading, stricter than the paper's words, and no matter of scale: batch normalization divides by one power "
    "for a channel, NLMS by each patch's own. With patches of equal power the two steps would be parallel; a digit's, "
    "from its empty border to its strokes, are not of equal power",
)
def exact_at_first_step(table: pd.DataFrame) -> Judgement:
    cosine, lengths = _first_step(table, "cosine_mean", "prior"), _first_step(table, "length")
    holds = cosine["prior"] >= 1 / _EQUAL and 1 / _EQUAL <= lengths["prior"] <= _EQUAL
    return Judgement({**cosine.named("cosine"), **lengths.named("plain / NLMS length")}, holds, cosine.seeds)


@claim(
    "stays-close",
    "BN_Prior stays close to NLMS while γ and β stay near 1 and 0.",
    f"at each rate, over the compared steps at which γ − 1 and β have root mean squares of at most {_NEAR:g}: "
    "BN_Prior's mean cosine similarity to NLMS_L2's step at least 0.8 of that at step 0, median over seeds",
)
def stays_close(table: pd.DataFrame) -> Judgement:
    prior, measures = compare_steps.rows(table, arrangement="prior"), ("cosine_mean", *_DASHES)
    steps = side_by_side(prior, measures, ["rate", "seed", "step"])
    near = (steps["gain_distance"] <= _NEAR) & (steps["bias_distance"] <= _NEAR)
    found = Findings()
    for rate in steps["rate"].unique():
        here = (steps["rate"] == rate) & (steps["step"] > 0)
        start = steps[(steps["rate"] == rate) & (steps["step"] == 0)].set_index("seed")["cosine_mean"]
        means = [steps[here & chosen].groupby("seed")["cosine_mean"].mean() for chosen in (near, ~near)]
        kept, after = ((mean / start).dropna() for mean in means)
        if kept.empty:
            raise NotJudgedError(f"at rate {rate:g} no step after the first has γ and β near 1 and 0")
        count = float(steps[here & near].groupby("seed").size().median())
        found.measure({f"kept at {rate:g}": float(kept.median()), f"near steps at {rate:g}": count})
        if not after.empty:
            found.measure({f"kept after at {rate:g}": float(after.median())})
        found.compare(kept.median() >= 1 / _EQUAL, len(kept))
    return found.judgement()


_CURVES = {name: dataclasses.replace(LOOKS[name], marker="") for name in PLAIN}


def draw(table: pd.DataFrame) -> plots.Figure:
    """Columns are rates; rows the cosine, the length and γ's and β's distance, against the step."""
    rows = compare_steps.rows(table)
    rows = rows.assign(step=rows["step"] + 1)
    rates = sorted(rows["rate"].unique())
    figure, panels = plots.new_figure(3 * len(rates), columns=len(rates), share_y="row")
    for column, rate in enumerate(rates):
        top, middle, bottom = stack = panels[column :: len(rates)]
        here = select(rows, rate=rate)
        for axes, measure in ((top, "cosine_mean"), (middle, "length")):
            draw_lines(axes, select(here, measure=measure), "step", _NAMES, _CURVES, "arrangement")
        top.set(title=f"rate {rate:g}", ylabel="cosine similarity to NLMS's step", ylim=(0, 1))
        middle.set(yscale="log", ylabel="plain step's length / NLMS's")
        middle.axhline(1, color="0.6", linewidth=0.8, zorder=0)
        plots.plain_numbers(middle.yaxis)
        _draw_distances(bottom, here)
        for axes in stack:
            axes.set_xscale("log")
            plots.plain_numbers(axes.xaxis)
            axes.label_outer()
    panels[-len(rates)].set_ylim(bottom=0)
    plots.legend_inside(panels[-len(rates)], "upper left")
    plots.legend_below(figure)
    return figure


def _draw_distances(axes: plots.Panel, rows: pd.DataFrame) -> None:
    """How far γ and β are from 1 and 0, with a line where they stop counting as near."""
    for measure, (symbol, dashes) in _DASHES.items():
        looks = {name: dataclasses.replace(_CURVES[name], dashes=dash) for name, dash in dashes.items()}
        names = {name: f"{symbol}, {_NAMES[name]}" for name in looks}
        draw_lines(axes, select(rows, measure=measure), "step", names, looks, "arrangement")
    axes.set(ylabel="root mean square over channels", xlabel="step, counted from 1")
    plots.mark_level(axes, _NEAR, "near", dashes="--")


EXPERIMENT = FixedExperiment(
    id="chai2020.pmd",
    question=(
        "Does a convolution behind batch normalization, descending plainly, make the steps of minimum disturbance that "
        "NLMS makes?"
    ),
    method=(
        "During one epoch of plain training each weight step of the second convolution is compared with the one that "
        "NLMS_L2 makes from the same input and local error: the cosine of the angle between them and the ratio of "
        "their lengths. Also shown are the distances of γ and β from 1 and 0."
    ),
    caption=(
        "Cosine similarity of the plain weight step and NLMS's (its power a mean over each channel's block of the "
        "patch), the ratio of their lengths, and how far γ and β have moved from 1 and 0, with a line where they stop "
        f"counting as near; {MEDIAN_BAND}."
    ),
    profiles=STEP_COMPARISON,
    list_cells=lambda profile: combinations(compare_steps, profile, arrangement=PLAIN, rate=profile.rates),
    rules=claim.rules,
    draw=draw,
)
