"""§4: how close plain steps come to NLMS's, the steps of minimum disturbance.

NLMS divides each contribution to the weight step by the power of the patch it comes from. The paper's argument: where
the convolution's input has zero mean and unit variance the division changes nothing (eq. 10), so BN_Prior makes NLMS's
step as long as its γ and β, which start at 1 and 0, stay near.
"""

import contextlib

import pandas as pd

from normscope.papers.chai2020.cells.arrangements import LABELS, PLAIN
from normscope.papers.chai2020.cells.step_comparison import balanced_step, compare_steps
from normscope.papers.chai2020.pmd_drawing import EXACT, NEAR, draw
from normscope.papers.chai2020.profiles import STEP_COMPARISON, VARIATIONS
from normscope.papers.shared import (
    Findings,
    Profile,
    Samples,
    combinations,
    contrasts,
    seed_count,
    side_by_side,
)
from normscope.protocol import Cell, Claims, FixedExperiment, Judgement, NotJudgedError
from normscope.report.captions import MEDIAN_BAND
from normscope.report.scorecard import in_words

claim = Claims("Chai et al. 2020, §4.2")
_EQUAL = 1.25


def _first_step(table: pd.DataFrame, unit: str, measure: str, *arrangements: str) -> Samples:
    """A measure at step 0, where no learning rate has had an effect yet: of each seed one number."""
    first = compare_steps.rows(table, measure=measure, step=0).drop_duplicates(["arrangement", "seed"])
    return Samples.of(unit, first, {name: LABELS[name] for name in arrangements or PLAIN}, "arrangement")


@claim(
    "closest-at-first-step",
    "BN_Prior is closer to NLMS than Baseline and than BatchNorm at the first step.",
    "at step 0: cosine similarity of the plain weight step and NLMS_L2's, BN_Prior's above Baseline's and BatchNorm's",
)
def closest_at_first_step(table: pd.DataFrame) -> Judgement:
    cosines, sums = (_first_step(table, "cosine", measure) for measure in ("cosine_mean", "cosine_sum"))
    found = Findings({**cosines.named(), **sums.named(after=", power as sum")})
    with contextlib.suppress(NotJudgedError):  # a folder from before it was measured
        before = _first_step(table, "cosine", "cosine_before_norm", "prior")
        found.measure(before.named(after=", both on the input before the norm"))
    for other in ("baseline", "batch"):
        name = f"cosine BN_Prior − {LABELS[other]}"
        found.compare(contrasts.difference(name, cosines["prior"], cosines[other], least=0.0, strict=True))
    return found.judgement()


@claim(
    "exact-at-first-step",
    "BN_Prior's weight step is NLMS's where every patch has its channel's power, at the first step.",
    "on an input of ±a_c pixels in balance, γ = 1, β = 0, ε → 0, float64, in every run: ΔW/σ_c equals NLMS_L2's step "
    "on that input to a relative 1e-9",
    at="eq. 10",
)
def exact_at_first_step(table: pd.DataFrame) -> Judgement:
    distances = balanced_step.rows(table, measure="distance", variation=0.0)
    worst = float(distances["value"].max(skipna=False))
    names = {
        "cosine_mean": "cosine on real images",
        "length": "length on real images / NLMS's",
        "power_variation": "variation of the patches' power on real images",
    }
    real = {name: _first_step(table, "", measure, "prior").median("prior") for measure, name in names.items()}
    cosine, length, variation = (in_words("", value) for value in real.values())
    reason = (
        f"real images miss the assumption: their patches' power has a coefficient of variation of {variation}, and "
        f"there the cosine is {cosine} and the step {length} times as long as NLMS's"
    )
    return Judgement(
        {"largest distance": worst, **real}, worst <= EXACT, seed_count(distances, "variation"), reason
    )


@claim(
    "stays-close",
    "BN_Prior stays close to NLMS while γ and β stay near 1 and 0.",
    f"at each rate, over the compared steps at which γ − 1 and β have root mean squares of at most {NEAR:g}: "
    "BN_Prior's mean cosine similarity to NLMS_L2's step at least 0.8 of that at step 0",
)
def stays_close(table: pd.DataFrame) -> Judgement:
    prior, measures = (
        compare_steps.rows(table, arrangement="prior"),
        ("cosine_mean", "gain_distance", "bias_distance"),
    )
    steps = side_by_side(prior, measures, ["rate", "seed", "step"])
    near = (steps["gain_distance"] <= NEAR) & (steps["bias_distance"] <= NEAR)
    found = Findings()
    for rate in steps["rate"].unique():
        here = (steps["rate"] == rate) & (steps["step"] > 0)
        start = steps[(steps["rate"] == rate) & (steps["step"] == 0)].set_index("seed")["cosine_mean"]
        kept, after = (steps[here & chosen].groupby("seed")["cosine_mean"].mean() for chosen in (near, ~near))
        if kept.empty:
            raise NotJudgedError(f"at rate {rate:g} no step after the first has γ and β near 1 and 0")
        name = f"kept at {rate:g}, cosine − 0.8 × at step 0"
        found.compare(contrasts.difference(name, kept, start / _EQUAL, least=0.0))
        found.measure({f"kept at {rate:g}": float((kept / start).median())})
        found.measure({f"near steps at {rate:g}": float(steps[here & near].groupby("seed").size().median())})
        if not after.empty:
            found.measure({f"kept after at {rate:g}": float((after / start).median())})
    return found.judgement()


def list_cells(profile: Profile) -> list[Cell]:
    """The steps of one epoch on real images, and first steps on balanced inputs."""
    steps = combinations(compare_steps, profile, arrangement=PLAIN, rate=profile.rates)
    return [*steps, *combinations(balanced_step, profile, variation=VARIATIONS)]


EXPERIMENT = FixedExperiment(
    id="chai2020.pmd",
    question=(
        "Does a convolution behind batch normalization, descending plainly, make the steps of minimum disturbance that "
        "NLMS makes?"
    ),
    method=(
        "During one epoch of plain training each weight step of the second convolution is compared with the one that "
        "NLMS_L2 makes from the same input and local error: the cosine of the angle between them and the ratio of "
        "their lengths. Also shown are the distances of γ and β from 1 and 0. The first step is compared as well on "
        "inputs of ±a pixels in balance, on which every patch has its channel's power, and on inputs that miss that "
        "assumption of the paper by a known amount."
    ),
    caption=(
        "Cosine similarity of the plain weight step and NLMS's (its power a mean over each channel's block of the "
        "patch), the ratio of their lengths, and how far γ and β have moved from 1 and 0, with a line where they stop "
        f"counting as near; {MEDIAN_BAND}. Bottom: the first step on balanced inputs, by how much the patches' power "
        "varies, and where real images are."
    ),
    profiles=STEP_COMPARISON,
    list_cells=list_cells,
    rules=claim.rules,
    draw=draw,
)
