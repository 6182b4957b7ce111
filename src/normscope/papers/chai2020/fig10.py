"""Fig. 10: validation error by epoch with and without noise in the local error, for Fig. 9's arrangements.

NLMS solves for the least disturbance of the weights that removes the error; batch normalization before the convolution
comes close to it. So both should pass on less of a noise that is added to the local error before the weight gradient
than the baseline and than batch normalization after the convolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from normscope.papers.chai2020.noise import ARRANGEMENTS, noise_cells
from normscope.papers.chai2020.noise_drawing import draw
from normscope.papers.chai2020.noise_profiles import NOISE_PROFILES, PAPER_NOISE, RATES
from normscope.papers.chai2020.noise_readings import (
    Estimate,
    band,
    error_curves,
    jitter_with_noise,
    overlapping,
    rise,
    sensitivity,
    settled_error,
)
from normscope.protocol import ClaimRule, FixedExperiment, Judgement, claim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd

    Reading = Callable[[pd.DataFrame, str, float, float], Estimate]
    Pairs = tuple[tuple[str, str], ...]

_SOURCE = "Chai et al. 2020, §4.3, Fig. 10"
_PAPERS_FIVE = ("baseline", "batch", "nlms_l1", "nlms_l2", "prior")
_OTHERS = tuple(name for name in _PAPERS_FIVE if name != "nlms_l2")
_MOST = tuple((low, high) for low in ("prior", "nlms_l1", "nlms_l2") for high in ("baseline", "batch"))
_LEAST = (("nlms_l2", "prior"), *(("prior", high) for high in ("nlms_l1", "baseline", "batch")))
_EQUAL = 1.25
_RULE = (
    "sensitivity is the jitter with noise over the jitter without, of the same seed; jitter is the standard deviation "
    "of the epoch-to-epoch change of the validation error over the last half of the epochs. Medians over seeds decide; "
    "low and high are the ends of their 95 % bootstrap intervals. "
    "Beside it the rise: the error, averaged over the last fifth of the epochs, with noise over that without"
)


_UNDECIDED = (
    "Scale more than reading: measured along these runs, noise 1 moves the weight gradient 0.6 (Baseline, BN_Prior), "
    "0.6 to 0.8 (NLMS) and 0.95 times (BatchNorm) as far as the draw of the batch moves it anyway, which should make "
    "jitter 1.2 to 1.4 times as large; and one run's jitter, of seven changes of the error, is uncertain by a quarter. "
    "An order within that span takes more than fifty seeds, so five decide it neither way, and nor can a figure of few "
    "runs"
)
_ABOVE = "NLMS_L2 ends far above the others here, and its jitter and its band are those of that error"


def _estimates(
    reading: Reading, errors: pd.DataFrame, names: Iterable[str], rate: float, noise: float
) -> dict[str, Estimate]:
    return {name: reading(errors, name, rate, noise) for name in names}


def _ordered(pairs: Pairs, estimates: Mapping[str, Estimate]) -> bool:
    """Whether the first of each pair is below the second."""
    return all(estimates[low].value < estimates[high].value for low, high in pairs)


def _with_interval(estimates: Mapping[str, Estimate]) -> dict[str, float]:
    measured: dict[str, float] = {}
    for name, estimate in estimates.items():
        label = ARRANGEMENTS[name].label
        measured |= {label: estimate.value, f"{label} low": estimate.low, f"{label} high": estimate.high}
    return measured


def _judge_order(errors: pd.DataFrame, pairs: Pairs, rate: float) -> Judgement:
    """Compare sensitivities to the paper's noise; the reason adds how sure that is, and what other measures say."""
    estimates = _estimates(sensitivity, errors, _PAPERS_FIVE, rate, PAPER_NOISE)
    rises = _estimates(rise, errors, _PAPERS_FIVE, rate, PAPER_NOISE)
    remarks = [overlapping(pairs, estimates), _remark(pairs, rises, "rise", PAPER_NOISE)]
    for noise in (noise for noise in errors.index.unique("noise") if noise > PAPER_NOISE):
        for reading, name in ((sensitivity, "sensitivity"), (rise, "rise")):
            stronger = _estimates(reading, errors, _PAPERS_FIVE, rate, noise)
            remarks.append(_remark(pairs, stronger, name, noise))
    measured = _with_interval(estimates)
    measured |= {f"rise {ARRANGEMENTS[name].label}": estimate.value for name, estimate in rises.items()}
    seeds = min(estimate.seeds for estimate in estimates.values())
    return Judgement(measured, _ordered(pairs, estimates), seeds, "; ".join(remarks))


def _remark(pairs: Pairs, estimates: Mapping[str, Estimate], reading: str, noise: float) -> str:
    verdict = "holds" if _ordered(pairs, estimates) else "does not hold"
    return f"on the {reading} at noise {noise:g} it {verdict}"


def _order_rules(rate: float, rate_name: str) -> tuple[ClaimRule, ClaimRule]:
    @claim(
        f"most-sensitive-{rate_name}-rate",
        f"Baseline and BatchNorm are the most sensitive to noise, at learning rate {rate:g}.",
        _SOURCE,
        f"at rate {rate:g}, noise 1: sensitivity of Baseline and of BatchNorm above BN_Prior's, NLMS_L1's and "
        f"NLMS_L2's; {_RULE}",
        _UNDECIDED,
    )
    def most_sensitive(table: pd.DataFrame) -> Judgement:
        return _judge_order(error_curves(table), _MOST, rate)

    @claim(
        f"least-sensitive-{rate_name}-rate",
        f"NLMS_L2 is the least sensitive to noise and BN_Prior the second, at learning rate {rate:g}.",
        _SOURCE,
        f"at rate {rate:g}, noise 1: sensitivity of NLMS_L2 < BN_Prior < NLMS_L1, Baseline and BatchNorm; {_RULE}",
        _UNDECIDED,
    )
    def least_sensitive(table: pd.DataFrame) -> Judgement:
        return _judge_order(error_curves(table), _LEAST, rate)

    return most_sensitive, least_sensitive


most_sensitive_low_rate, least_sensitive_low_rate = _order_rules(RATES[0], "low")
most_sensitive_high_rate, least_sensitive_high_rate = _order_rules(RATES[1], "high")


def _judge_lowest(errors: pd.DataFrame, reading: Reading, unit: str, compared: Pairs) -> Judgement:
    """Whether ``reading`` with noise puts the first of each pair below the second at both rates."""
    measured, reasons, holds, seeds = {}, [], [], []
    for rate in RATES:
        estimates = _estimates(reading, errors, _PAPERS_FIVE, rate, PAPER_NOISE)
        for name, estimate in estimates.items():
            measured[f"{unit} {ARRANGEMENTS[name].label} at {rate:g}"] = estimate.value
            seeds.append(estimate.seeds)
        reasons.append(f"at rate {rate:g} {overlapping(compared, estimates)}")
        holds.append(_ordered(compared, estimates))
    return Judgement(measured, all(holds), min(seeds), "; ".join(reasons))


@claim(
    "smoothest-curve",
    "With noise NLMS has the smoothest curves.",
    _SOURCE,
    "at both rates, noise 1: jitter of NLMS_L1 and of NLMS_L2 below Baseline's, BatchNorm's and BN_Prior's",
    f"{_UNDECIDED}. {_ABOVE}",
)
def smoothest_curve(table: pd.DataFrame) -> Judgement:
    """The jitter with noise itself, not over that without."""
    pairs = tuple((low, high) for low in ("nlms_l1", "nlms_l2") for high in ("baseline", "batch", "prior"))
    return _judge_lowest(error_curves(table), jitter_with_noise, "jitter", pairs)


@claim(
    "smallest-band",
    "With noise NLMS_L2 has the smallest band over seeds.",
    _SOURCE,
    "at both rates, noise 1: distance between the quartiles over seeds, averaged over the last half of the epochs, "
    "smallest for NLMS_L2",
    f"{_UNDECIDED}. {_ABOVE}",
)
def smallest_band(table: pd.DataFrame) -> Judgement:
    """The width of the band with noise, and how much wider the noise makes it."""
    errors = error_curves(table)
    found = _judge_lowest(errors, band, "band", tuple(("nlms_l2", other) for other in _OTHERS))
    wider = {}
    for rate in RATES:
        for name in _PAPERS_FIVE:
            quiet, noisy = (band(errors, name, rate, noise).value for noise in (0.0, PAPER_NOISE))
            if quiet > 0:
                wider[f"with / without {ARRANGEMENTS[name].label} at {rate:g}"] = noisy / quiet
    return Judgement({**found.measured, **wider}, found.holds, found.seeds, found.reason)


@claim(
    "batchnorm-settles-higher",
    "With the fully connected layer untrained, BatchNorm after the convolution settles at a higher error than "
    "BN_Prior.",
    _SOURCE,
    "at both rates, without noise: mean error over the last fifth of the epochs, BatchNorm above BN_Prior",
)
def batchnorm_settles_higher(table: pd.DataFrame) -> Judgement:
    """Where both end, without noise; with it, for the reader."""
    errors = error_curves(table)
    measured, reasons, holds, seeds = {}, [], [], []
    for rate in RATES:
        for noise in (0.0, PAPER_NOISE):
            ends = _estimates(settled_error, errors, ("batch", "prior"), rate, noise)
            for name, end in ends.items():
                measured[f"error {ARRANGEMENTS[name].label} at {rate:g}, noise {noise:g}"] = end.value
            if noise == 0:
                holds.append(ends["prior"].value < ends["batch"].value)
                seeds += [end.seeds for end in ends.values()]
                reasons.append(f"at rate {rate:g} {overlapping((('prior', 'batch'),), ends)}")
    return Judgement(measured, all(holds), min(seeds), "; ".join(reasons))


def _judge_power(errors: pd.DataFrame, suffix: str) -> Judgement:
    """How a reading of the power compares with what Fig. 10 says of NLMS."""
    measured, holds, seeds = {}, [], []
    first, second = f"nlms_l1{suffix}", f"nlms_l2{suffix}"
    others = ("baseline", "batch", "prior", first)
    for rate in RATES:
        ends = _estimates(settled_error, errors, ("baseline", first, second), rate, 0.0)
        for name in (first, second):
            ratio = ends[name].value / ends["baseline"].value
            measured[f"error {ARRANGEMENTS[name].label} / Baseline at {rate:g}"] = ratio
            holds.append(ratio <= _EQUAL)
        found = _estimates(sensitivity, errors, (*others, second), rate, PAPER_NOISE)
        label = ARRANGEMENTS[second].label
        measured[f"sensitivity {label} at {rate:g}"] = found[second].value
        measured[f"lowest other sensitivity at {rate:g}"] = min(found[name].value for name in others)
        holds.append(found[second].value < min(found[name].value for name in others))
        seeds += [estimate.seeds for estimate in (*ends.values(), *found.values())]
    agreed = f"{sum(holds)} of {len(holds)} comparisons agree with the paper"
    return Judgement(measured, all(holds), min(seeds), agreed)


_POWER_RULE = (
    "at both rates: error of NLMS_L1 and of NLMS_L2, settled without noise, at most 1.25× Baseline's, and NLMS_L2's "
    "sensitivity to noise 1 the lowest"
)


_POWER_MEAN = (
    "Our reading, or the paper, not our scale: at the laptop scale this is the nearer of the two readings, but with "
    "20,000 digits and 20 epochs (one seed) NLMS_L1 ends at 2.0 and 1.4 times, NLMS_L2 at 4.0 and 6.1 times Baseline's "
    "error, further off than with less training. The paper's runs may divide by another power, or with another ε"
)
_POWER_SUM = (
    "The literal formula divides by 25 times as much, as a rate 25 times smaller would: too slow for Fig. 10's epochs "
    "at Fig. 10's rates"
)


@claim(
    "power-as-mean",
    "With its power read as the mean over a channel's block, NLMS trains as far as Baseline and NLMS_L2 is the least "
    "sensitive to noise.",
    f"{_SOURCE}, eq. 10",
    _POWER_RULE,
    _POWER_MEAN,
)
def power_as_mean(table: pd.DataFrame) -> Judgement:
    """The reading on batch normalization's scale."""
    return _judge_power(error_curves(table), "")


@claim(
    "power-as-sum",
    "With its power read as the sum over a channel's block, NLMS trains as far as Baseline and NLMS_L2 is the least "
    "sensitive to noise.",
    f"{_SOURCE}, eqs. 7 to 9",
    _POWER_RULE,
    _POWER_SUM,
)
def power_as_sum(table: pd.DataFrame) -> Judgement:
    """The literal formula."""
    return _judge_power(error_curves(table), "_sum")


CLAIMS = (
    most_sensitive_low_rate,
    least_sensitive_low_rate,
    most_sensitive_high_rate,
    least_sensitive_high_rate,
    smoothest_curve,
    smallest_band,
    batchnorm_settles_higher,
    power_as_mean,
    power_as_sum,
)

EXPERIMENT = FixedExperiment(
    id="chai2020.fig10",
    question=(
        "How much of a noise in the local error reaches the validation error, and do NLMS and batch normalization "
        "before the convolution pass on less of it than batch normalization after it, or none?"
    ),
    method=(
        "LeNets with an untrained output layer differ only in what is done to the second convolution: nothing, a norm "
        "after or before it, or weight gradients divided by the input's power (NLMS). Each is trained with and "
        "without Gaussian noise added to that convolution's local error before its weight gradient, from the same "
        "weights on the same batches."
    ),
    caption=(
        "Validation error by epoch at two learning rates of the convolution weights (columns) and with noise of so "
        "many standard deviations of the second convolution's local error (rows): median over seeds, with the band "
        "from the first to the third quartile. A diverged run counts as chance, 90 %. Bottom: sensitivity to the "
        "noise, the jitter of the error from epoch to epoch with noise over that without, seed by seed; median over "
        "seeds with its 95 % bootstrap interval, filled for noise 1 and hollow for a stronger one. 'sum' marks NLMS "
        "with the sum over a block as its power; the other NLMS lines have the mean."
    ),
    profiles=NOISE_PROFILES,
    list_cells=noise_cells,
    rules=CLAIMS,
    draw=draw,
)
