"""Fig. 10: what noise in the local error does to Fig. 9's arrangements.

NLMS solves for the least disturbance of the weights that removes the error; batch normalization before the convolution
comes close to it. So both should pass on less of a noise that is added to the local error before the weight gradient
than the baseline and than batch normalization after the convolution. A ratio of jitters, with noise over without,
divides out the very gain that the paper speaks of; so the noise amplification D is measured, in pairs from the states
of quiet runs (:func:`normscope.papers.chai2020.cells.noise.noise_amplification`).
"""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping

import pandas as pd

from normscope.papers import shared
from normscope.papers.chai2020.cells.arrangements import (
    FIRST_FIXED,
    FIXED_RATE,
    LABELS,
    LARGE_EPS,
    PAPERS_FIVE,
    SUM,
)
from normscope.papers.chai2020.cells.noise import noise_amplification, train_arrangement
from normscope.papers.chai2020.fig10_drawing import draw
from normscope.papers.chai2020.profiles import FIG10, NOISE_RATES, PAPER_NOISE, NoiseProfile
from normscope.papers.chai2020.readings.noise import (
    FEWEST_STEPS,
    amplification,
    curves_of,
    error_curves,
    noise_levels,
    rises,
    trained_steps,
)
from normscope.papers.shared import Findings, Samples, curves
from normscope.protocol import Cell, Claims, FixedExperiment, Judgement, NotJudgedError
from normscope.report.captions import MEDIAN_BAND
from normscope.report.scorecard import in_words

claim = Claims("Chai et al. 2020, §4.3, Fig. 10")

_MOST = tuple((low, high) for high in ("baseline", "batch") for low in ("prior", "nlms_l1", "nlms_l2"))
_LEAST = tuple(("nlms_l2", other) for other in PAPERS_FIVE if other != "nlms_l2")
_EQUAL, _NEAR = 1.25, 2.0
_D = (
    "D is the root mean square displacement of the test images' logits after 40 steps with noise, against the same "
    "steps without, over the logits' own spread"
)


def _judged(table: pd.DataFrame, found: Findings) -> Judgement:
    """The judgement; on networks that have not trained long enough it is none, and its numbers are reported.

    Raises:
        NotJudgedError: when they have not.
    """
    if (steps := trained_steps(table)) < FEWEST_STEPS:
        needed = f"{FEWEST_STEPS:,} or more are needed, so take a larger scale"
        reason = f"after {steps:,} steps of training it is too early to tell: {needed}"
        raise NotJudgedError(reason, found.measured, found.seeds)
    return found.judgement()


def _judge_order(table: pd.DataFrame, pairs: Iterable[tuple[str, str]], rate: float) -> Judgement:
    """Whether D puts the first of every pair below the second at the paper's noise; beside it, at stronger noise."""
    samples = amplification(table, PAPERS_FIVE, rate, PAPER_NOISE)
    found = Findings({**samples.named(), **rises(table, PAPERS_FIVE, rate, PAPER_NOISE)})
    found.compare(*samples.order(*pairs))
    for noise in (level for level in noise_levels(table) if level > PAPER_NOISE):
        with contextlib.suppress(NotJudgedError):
            stronger = amplification(table, PAPERS_FIVE, rate, noise).order(*pairs)
            held = sum(contrast.decide() is True for contrast in stronger)
            found.remark(f"at noise {noise:g} {held} of {len(stronger)} comparisons hold")
    return _judged(table, found)


def _claim_orders(rate: float, word: str) -> None:
    """What Fig. 10 says of the noise amplification at one of its rates."""
    claim(
        f"most-sensitive-{word}-rate",
        f"At rate {rate:g} Baseline and BatchNorm amplify noise the most.",
        f"at rate {rate:g}, noise 1: D of Baseline and of BatchNorm above BN_Prior's, NLMS_L1's and NLMS_L2's; {_D}",
    )(lambda table: _judge_order(table, _MOST, rate))
    claim(
        f"least-sensitive-{word}-rate",
        f"At rate {rate:g} NLMS_L2 amplifies noise the least.",
        f"at rate {rate:g}, noise 1: D of NLMS_L2 below that of the four others; {_D}",
    )(lambda table: _judge_order(table, _LEAST, rate))
    claim(
        f"prior-near-nlms-{word}-rate",
        f"At rate {rate:g} BN_Prior comes close to NLMS_L2 in how little noise it passes on.",
        f"at rate {rate:g}, noise 1: D of BN_Prior within a factor 2 of NLMS_L2's; {_D}",
    )(lambda table: _judge_near(table, rate))


def _judge_near(table: pd.DataFrame, rate: float) -> Judgement:
    samples = amplification(table, PAPERS_FIVE, rate, PAPER_NOISE)
    found = Findings(samples.named("prior", "nlms_l2"))
    found.compare(samples.ratio("prior", "nlms_l2", least=1 / _NEAR, most=_NEAR))
    return _judged(table, found)


for _rate, _word in zip(NOISE_RATES, ("low", "high"), strict=True):
    _claim_orders(_rate, _word)


def _settled(errors: pd.DataFrame, names: Iterable[str], rate: float) -> Samples:
    """The error at which quiet runs settle: of each seed the mean over the last fifth of the epochs."""
    found = {name: curves.settled(curves_of(errors, name, rate, 0.0)) for name in names}
    return Samples("error", found, {name: f"{LABELS[name]} at {rate:g}" for name in names})


@claim(
    "batchnorm-settles-higher",
    "BatchNorm after the convolution settles at a higher error than BN_Prior, the output layer untrained.",
    "at both rates, without noise: mean error over the last fifth of the epochs, BatchNorm above BN_Prior",
)
def batchnorm_settles_higher(table: pd.DataFrame) -> Judgement:
    errors, found = error_curves(table), Findings()
    for rate in NOISE_RATES:
        ends = _settled(errors, ("batch", "prior"), rate)
        found.measure(ends.named())
        found.compare(*ends.order(("prior", "batch")))
    return _judged(table, found)


def _report_curves(table: pd.DataFrame, word: str, statistic: curves.Statistic) -> Judgement:
    """A statistic of the curves with noise, and over that without: reported, never judged."""
    errors, measured, factors = error_curves(table), {}, []
    for rate in NOISE_RATES:
        for name in PAPERS_FIVE:
            noisy, quiet = (statistic(curves_of(errors, name, rate, noise)) for noise in (PAPER_NOISE, 0.0))
            factors.append(noisy / quiet if quiet > 0 else math.nan)
            measured[f"{word} {LABELS[name]} at {rate:g}"] = noisy
            measured[f"with / without noise, {LABELS[name]} at {rate:g}"] = factors[-1]
    seeds = int(errors.xs(PAPER_NOISE, level="noise").groupby(level=["arrangement", "rate"]).size().min())
    if known := [factor for factor in factors if math.isfinite(factor)]:
        low, high = (in_words("", end) for end in (min(known), max(known)))
        change = f"over {seeds} seeds the noise changes the {word} {low} to {high} times, and"
    else:
        change = f"this run has no {word} to compare, and"
    raise NotJudgedError(
        f"drawn and reported, not judged: {change} such a ratio divides out the gain that the paper speaks of",
        measured,
        seeds,
    )


@claim(
    "smoothest-curve",
    "With noise NLMS has the smoothest curves.",
    "reported: jitter, the standard deviation of the epoch-to-epoch change of the error over the last half of the "
    "epochs, with noise 1, and over that without; medians over seeds",
)
def smoothest_curve(table: pd.DataFrame) -> Judgement:
    return _report_curves(
        table, "jitter", lambda runs: float(curves.jitter(runs, shared.chance_error(table)).median())
    )


@claim(
    "smallest-band",
    "With noise NLMS_L2 has the smallest band over seeds.",
    "reported: distance between the quartiles over seeds, averaged over the last half of the epochs, with noise 1, and "
    "over that without",
)
def smallest_band(table: pd.DataFrame) -> Judgement:
    return _report_curves(table, "band", curves.band)


def _judge_reading(table: pd.DataFrame, reading: Mapping[str, str]) -> Judgement:
    """Whether Fig. 10 is reproduced in a reading: NLMS trains as far as Baseline, and the orders of D are the paper's.

    Args:
        table: the experiment's table.
        reading: the arrangements that the reading changes, with the names that they have in it.
    """
    run = set(noise_amplification.rows(table)["arrangement"])
    if not run.issuperset(reading.values()):
        raise NotJudgedError("this reading was not run at this scale")
    errors, found = error_curves(table), Findings()
    for rate in NOISE_RATES:
        same = rate == FIXED_RATE and set(reading.values()) <= set(FIRST_FIXED)
        names = {name: name if same else reading.get(name, name) for name in PAPERS_FIVE}
        ends = _settled(errors, names.values(), rate)
        first = names["baseline"]
        found.measure(ends.named(first))
        found.compare(*(ends.ratio(names[name], first, most=_EQUAL) for name in ("nlms_l1", "nlms_l2")))
        samples = amplification(table, names.values(), rate, PAPER_NOISE)
        at_rate = dataclasses.replace(samples, names={one: f"{LABELS[one]} at {rate:g}" for one in samples})
        found.measure(at_rate.named())
        pairs = dict.fromkeys((*_MOST, *_LEAST))
        found.compare(*at_rate.order(*((names[low], names[high]) for low, high in pairs)))
    judgement = _judged(table, found)
    held = sum(one.holds is True for one in judgement.comparisons)
    missed = sum(one.holds is False for one in judgement.comparisons)
    count = f"{held} of {len(judgement.comparisons)} comparisons agree with the paper, against it: {missed}"
    return dataclasses.replace(judgement, reason="; ".join(filter(None, [count, judgement.reason])))


def _claim_reading(id: str, words: str, reading: Mapping[str, str], place: str = "") -> None:
    """That Fig. 10 is reproduced in one reading of what the paper leaves open."""
    claim(
        id,
        f"{words}: NLMS trains as far as Baseline and passes on the least noise (Fig. 10 as a whole).",
        "at both rates: error of NLMS_L1 and of NLMS_L2, settled without noise, at most 1.25× Baseline's; D at noise 1 "
        "of Baseline and of BatchNorm above BN_Prior's, NLMS_L1's and NLMS_L2's, and NLMS_L2's the least",
        at=place,
    )(lambda table: _judge_reading(table, reading))


def _reading(arrangements: Iterable[str]) -> dict[str, str]:
    """The paper's name of each arrangement with its name in a reading."""
    return {name.rpartition("_")[0]: name for name in arrangements}


_claim_reading("power-as-mean", "Power as mean", {}, "eq. 10")
_claim_reading("power-as-sum", "Power as sum", _reading(SUM), "eqs. 7 to 9")
_claim_reading("large-eps", "ε = 1", _reading(LARGE_EPS))
_claim_reading("first-at-fixed-rate", "First convolution at 0.1", _reading(FIRST_FIXED))


def list_cells(profile: NoiseProfile) -> list[Cell]:
    """Quiet runs with the tries of noise from their states, then runs with the paper's noise throughout."""
    paired = functools.partial(shared.combinations, noise_amplification)
    cells = paired(profile, arrangement=PAPERS_FIVE, rate=profile.rates)
    readings = dataclasses.replace(profile, seeds=profile.reading_seeds, noises=(PAPER_NOISE,))
    cells += paired(readings, arrangement=(*SUM, *LARGE_EPS), rate=profile.rates)
    # At the fixed rate the first convolution's two readings are the same.
    others = [rate for rate in profile.rates if rate != FIXED_RATE]
    cells += paired(readings, arrangement=FIRST_FIXED, rate=others)
    noisy = dataclasses.replace(profile, seeds=profile.noisy_seeds)
    over = {"arrangement": PAPERS_FIVE, "rate": profile.rates, "noise": [PAPER_NOISE]}
    return [*cells, *shared.combinations(train_arrangement, noisy, **over)]


EXPERIMENT = FixedExperiment(
    id="chai2020.fig10",
    question=(
        "How much of a noise in the local error reaches the validation error, and do NLMS and batch normalization "
        "before the convolution pass on less of it than batch normalization after it, or none?"
    ),
    method=(
        "LeNets with an untrained output layer differ only in what is done to the second convolution: nothing, a norm "
        "after or before it, or weight gradients divided by the input's power (NLMS). From states of their training "
        "without noise each goes on for 40 steps with and without Gaussian noise added to that convolution's local "
        "error before its weight gradient, on the same batches; D is how far apart the logits end. Some are also "
        "trained with noise from the start."
    ),
    caption=(
        "Validation error by epoch at two learning rates of the convolution weights (columns) without noise and with "
        f"noise of one standard deviation of the second convolution's local error: {MEDIAN_BAND}. A diverged run "
        "counts as chance. Below: noise amplification D, the displacement of the logits by 40 steps with noise "
        "over their spread, of each arrangement and of other readings of the paper, geometric mean over seeds with its "
        "95 % interval; filled for noise 1, hollow for a stronger one. Bottom: the jitter of the error from epoch to "
        "epoch with noise over that without, which is not judged."
    ),
    profiles=FIG10,
    list_cells=list_cells,
    rules=claim.rules,
    draw=draw,
)
