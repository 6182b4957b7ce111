"""Fig. 10: validation error by epoch with and without noise in the local error, for Fig. 9's arrangements.

NLMS solves for the least disturbance of the weights that removes the error; batch normalization before the convolution
comes close to it. So both should pass on less of a noise that is added to the local error before the weight gradient
than the baseline and than batch normalization after the convolution.
"""

import contextlib
from collections.abc import Callable, Iterable

import pandas as pd

from normscope.papers import shared
from normscope.papers.chai2020.cells.noise import ARRANGEMENTS, LABELS, train_arrangement
from normscope.papers.chai2020.profiles import FIG10, NOISE_RATES, PAPER_NOISE
from normscope.papers.chai2020.readings.noise import curves_of, error_curves
from normscope.papers.shared import Estimate, Findings, curves, draw_lines, fewest_seeds, ordered
from normscope.protocol import Cell, Claims, FixedExperiment, Judgement, NotJudgedError, select
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND

Reading = Callable[..., Estimate]
"""A statistic of the error curves of one arrangement, at each of one or two noises."""

claim = Claims("Chai et al. 2020, §4.3, Fig. 10")
_PAPERS_FIVE = ("baseline", "batch", "nlms_l1", "nlms_l2", "prior")
_MOST = tuple((low, high) for low in ("prior", "nlms_l1", "nlms_l2") for high in ("baseline", "batch"))
_LEAST = (("nlms_l2", "prior"), *(("prior", high) for high in ("nlms_l1", "baseline", "batch")))
_SMOOTHEST = tuple((low, high) for low in ("nlms_l1", "nlms_l2") for high in ("baseline", "batch", "prior"))
_NARROWEST = tuple(("nlms_l2", other) for other in _PAPERS_FIVE if other != "nlms_l2")
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
    reading: Reading, errors: pd.DataFrame, names: Iterable[str], rate: float, *noises: float
) -> dict[str, Estimate]:
    """What a reading says of each arrangement at a rate."""
    return {name: reading(*(curves_of(errors, name, rate, noise) for noise in noises)) for name in names}


def _judge_order(errors: pd.DataFrame, pairs: shared.Pairs, rate: float) -> Judgement:
    """Compare sensitivities to the paper's noise; the reason adds how sure that is, and what other measures say."""
    found = Findings()
    estimates = _estimates(curves.sensitivity, errors, _PAPERS_FIVE, rate, PAPER_NOISE, 0.0)
    found.compare_order(pairs, estimates)
    for name, estimate in estimates.items():
        ends = {"": estimate.value, " low": estimate.low, " high": estimate.high}
        found.measure({LABELS[name] + end: value for end, value in ends.items()})
    rises = _estimates(curves.rise, errors, _PAPERS_FIVE, rate, PAPER_NOISE, 0.0)
    found.measure({f"rise {LABELS[name]}": one.value for name, one in rises.items()})
    others = {("rise", PAPER_NOISE): rises}
    for noise in (level for level in errors.index.unique("noise") if level > PAPER_NOISE):
        for word, reading in (("sensitivity", curves.sensitivity), ("rise", curves.rise)):
            others[word, noise] = _estimates(reading, errors, _PAPERS_FIVE, rate, noise, 0.0)
    for (word, noise), estimates in others.items():
        verdict = "holds" if ordered(pairs, estimates) else "does not hold"
        found.remark(f"on the {word} at noise {noise:g} it {verdict}")
    return found.judgement()


def _claim_orders(rate: float, word: str) -> None:
    """What Fig. 10 says of the orders of sensitivities at one of its rates."""
    claim(
        f"most-sensitive-{word}-rate",
        f"Baseline and BatchNorm are the most sensitive to noise, at learning rate {rate:g}.",
        f"at rate {rate:g}, noise 1: sensitivity of Baseline and of BatchNorm above BN_Prior's, NLMS_L1's and "
        f"NLMS_L2's; {_RULE}",
        _UNDECIDED,
    )(lambda table: _judge_order(error_curves(table), _MOST, rate))
    claim(
        f"least-sensitive-{word}-rate",
        f"NLMS_L2 is the least sensitive to noise and BN_Prior the second, at learning rate {rate:g}.",
        f"at rate {rate:g}, noise 1: sensitivity of NLMS_L2 < BN_Prior < NLMS_L1, Baseline and BatchNorm; {_RULE}",
        _UNDECIDED,
    )(lambda table: _judge_order(error_curves(table), _LEAST, rate))


for _rate, _word in zip(NOISE_RATES, ("low", "high"), strict=True):
    _claim_orders(_rate, _word)


def _judge_lowest(errors: pd.DataFrame, reading: Reading, unit: str, pairs: shared.Pairs) -> Findings:
    """Whether ``reading`` with noise puts the first of each pair below the second at both rates."""
    found = Findings()
    for rate in NOISE_RATES:
        estimates = _estimates(reading, errors, _PAPERS_FIVE, rate, PAPER_NOISE)
        for name, estimate in estimates.items():
            found.measure({f"{unit} {LABELS[name]} at {rate:g}": estimate.value})
        found.compare_order(pairs, estimates, f"at rate {rate:g} ")
    return found


@claim(
    "smoothest-curve",
    "With noise NLMS has the smoothest curves.",
    "at both rates, noise 1: jitter of NLMS_L1 and of NLMS_L2 below Baseline's, BatchNorm's and BN_Prior's",
    f"{_UNDECIDED}. {_ABOVE}",
)
def smoothest_curve(table: pd.DataFrame) -> Judgement:
    return _judge_lowest(error_curves(table), curves.jitter_estimate, "jitter", _SMOOTHEST).judgement()


@claim(
    "smallest-band",
    "With noise NLMS_L2 has the smallest band over seeds.",
    "at both rates, noise 1: distance between the quartiles over seeds, averaged over the last half of the epochs, "
    "smallest for NLMS_L2",
    f"{_UNDECIDED}. {_ABOVE}",
)
def smallest_band(table: pd.DataFrame) -> Judgement:
    errors = error_curves(table)
    found = _judge_lowest(errors, curves.band, "band", _NARROWEST)
    for rate in NOISE_RATES:
        for name in _PAPERS_FIVE:
            quiet, noisy = (
                curves.band(curves_of(errors, name, rate, noise)).value for noise in (0.0, PAPER_NOISE)
            )
            if quiet > 0:
                found.measure({f"with / without {LABELS[name]} at {rate:g}": noisy / quiet})
    return found.judgement()


@claim(
    "batchnorm-settles-higher",
    "With the fully connected layer untrained, BatchNorm after the convolution settles at a higher error than "
    "BN_Prior.",
    "at both rates, without noise: mean error over the last fifth of the epochs, BatchNorm above BN_Prior",
)
def batchnorm_settles_higher(table: pd.DataFrame) -> Judgement:
    errors, pairs, found = error_curves(table), (("prior", "batch"),), Findings()
    for rate in NOISE_RATES:
        for noise in (0.0, PAPER_NOISE):
            ends = _estimates(curves.settled_error, errors, ("batch", "prior"), rate, noise)
            for name, end in ends.items():
                found.measure({f"error {LABELS[name]} at {rate:g}, noise {noise:g}": end.value})
            if noise == 0:
                found.compare_order(pairs, ends, f"at rate {rate:g} ")
    return found.judgement()


def _judge_power(errors: pd.DataFrame, suffix: str) -> Judgement:
    """How a reading of the power compares with what Fig. 10 says of NLMS."""
    found = Findings()
    first, second = f"nlms_l1{suffix}", f"nlms_l2{suffix}"
    others = ("baseline", "batch", "prior", first)
    for rate in NOISE_RATES:
        ends = _estimates(curves.settled_error, errors, ("baseline", first, second), rate, 0.0)
        for name in (first, second):
            ratio = ends[name].value / ends["baseline"].value
            found.measure({f"error {LABELS[name]} / Baseline at {rate:g}": ratio})
            found.compare(ratio <= 1.25, fewest_seeds(ends))
        estimates = _estimates(curves.sensitivity, errors, (*others, second), rate, PAPER_NOISE, 0.0)
        lowest = min(estimates[name].value for name in others)
        found.measure({f"sensitivity {LABELS[second]} at {rate:g}": estimates[second].value})
        found.measure({f"lowest other sensitivity at {rate:g}": lowest})
        found.compare(estimates[second].value < lowest, fewest_seeds(estimates))
    found.remark(f"{sum(found.comparisons)} of {len(found.comparisons)} comparisons agree with the paper")
    return found.judgement()


def _claim_power(word: str, suffix: str, place: str, discussion: str) -> None:
    """What Fig. 10 says of NLMS, in one reading of the power that it divides by."""
    claim(
        f"power-as-{word}",
        f"With its power read as the {word} over a channel's block, NLMS trains as far as Baseline and NLMS_L2 is the "
        "least sensitive to noise.",
        "at both rates: error of NLMS_L1 and of NLMS_L2, settled without noise, at most 1.25× Baseline's, and "
        "NLMS_L2's sensitivity to noise 1 the lowest",
        discussion,
        at=place,
    )(lambda table: _judge_power(error_curves(table), suffix))


_claim_power(
    "mean",
    "",
    "eq. 10",
    "Our reading, or the paper, not our scale: at the laptop scale this is the nearer of the two readings, but with "
    "20,000 digits and 20 epochs (one seed) NLMS_L1 ends at 2.0 and 1.4 times, NLMS_L2 at 4.0 and 6.1 times Baseline's "
    "error, further off than with less training. The paper's runs may divide by another power, or with another ε",
)
_claim_power(
    "sum",
    "_sum",
    "eqs. 7 to 9",
    "The literal formula divides by 25 times as much, as a rate 25 times smaller would: too slow for Fig. 10's epochs "
    "at Fig. 10's rates",
)


def list_cells(profile: shared.Profile) -> list[Cell]:
    """Every arrangement, rate, noise and seed; NLMS with the literal power with no more than the paper's noise."""
    over = {"arrangement": ARRANGEMENTS, "rate": profile.rates, "noise": profile.noises}
    return [
        cell
        for cell in shared.combinations(train_arrangement, profile, **over)
        if cell.config.noise <= PAPER_NOISE or ARRANGEMENTS[cell.config.arrangement].power == "mean"
    ]


LOOKS = {
    "baseline": plots.Look(plots.BLACK, "o", "--"),
    "batch": plots.Look(plots.VERMILION, "s", "-"),
    "prior": plots.Look(plots.BLUE, "v", "-."),
    "nlms_l1": plots.Look("#B8860B", "^", "-."),
    "nlms_l2": plots.Look(plots.GREEN, "D", "-"),
    "nlms_l1_sum": plots.Look("#E8B84A", "+", ":"),
    "nlms_l2_sum": plots.Look("#7CCBB0", "x", ":"),
}
"""The colours of Figs. 6 to 8 where an arrangement is theirs; both readings of an NLMS share a hue."""


def draw(table: pd.DataFrame) -> plots.Figure:
    """Columns are rates; a row a noise, then the sensitivities."""
    errors = error_curves(table)
    by_epoch = errors.melt(ignore_index=False).reset_index()
    rates, noises = list(errors.index.unique("rate")), list(errors.index.unique("noise"))
    figure, panels = plots.new_figure(len(rates) * (len(noises) + 1), columns=len(rates))
    rows = [panels[start : start + len(rates)] for start in range(0, len(panels), len(rates))]
    letters = iter("abcdefgh")
    for noise, row in zip(noises, rows, strict=False):
        for axes, rate in zip(row, rates, strict=True):
            axes.sharey(panels[0])
            draw_lines(axes, select(by_epoch, rate=rate, noise=noise), "epoch", LABELS, LOOKS, "arrangement")
            shared.epoch_axis(axes)
            shared.error_axis(axes)
            axes.set_title(f"({next(letters)}) rate {rate:g}, {f'noise {noise:g}' if noise else 'no noise'}")
            plots.label_edges(axes, left=axes is row[0], bottom=noise == noises[-1])
    for axes, rate in zip(rows[-1], rates, strict=True):
        axes.sharex(rows[-1][0])
        found = [_sensitivities(errors, rate, noise) for noise in noises if noise]
        shared.draw_estimates(axes, found, LABELS, LOOKS)
        axes.axvline(1, color="0.6", linewidth=0.8, zorder=0)
        axes.set(xscale="log", xlabel="jitter with noise / without")
        plots.plain_numbers(axes.xaxis, ticks=8)
        axes.set_title(f"({next(letters)}) sensitivity, rate {rate:g}")
        plots.label_edges(axes, left=axes is rows[-1][0], bottom=True)
    plots.legend_below(figure)
    return figure


def _sensitivities(errors: pd.DataFrame, rate: float, noise: float) -> dict[str, Estimate]:
    """The sensitivity of every arrangement that has one."""
    found = {}
    for name in LOOKS:
        with contextlib.suppress(NotJudgedError):
            noisy, quiet = (curves_of(errors, name, rate, level) for level in (noise, 0.0))
            found[name] = curves.sensitivity(noisy, quiet)
    return found


EXPERIMENT = FixedExperiment(
    id="chai2020.fig10",
    question=(
        "How much of a noise in the local error reaches the validation error, and do NLMS and batch normalization "
        "before the convolution pass on less of it than batch normalization after it, or none?"
    ),
    method=(
        "LeNets with an untrained output layer differ only in what is done to the second convolution: nothing, a norm "
        "after or before it, or weight gradients divided by the input's power (NLMS). Each is trained with and without "
        "Gaussian noise added to that convolution's local error before its weight gradient, from the same weights on "
        "the same batches."
    ),
    caption=(
        "Validation error by epoch at two learning rates of the convolution weights (columns) and with noise of so "
        f"many standard deviations of the second convolution's local error (rows): {MEDIAN_BAND}. A diverged run "
        "counts as chance, 90 %. Bottom: sensitivity to the noise, the jitter of the error from epoch to epoch with "
        "noise over that without, seed by seed; median over seeds with its 95 % bootstrap interval, filled for noise "
        "1 and hollow for a stronger one. 'sum' marks NLMS with the sum over a block as its power; the other NLMS "
        "lines have the mean."
    ),
    profiles=FIG10,
    list_cells=list_cells,
    rules=claim.rules,
    draw=draw,
)
