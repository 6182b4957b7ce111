"""Fig. 8: final validation error and the largest eigenvalue after five steps, against the learning rate.

The weight update is stable while ``η < 2/(Mλ_max)``. BatchNorm and Suppress hold the largest eigenvalue down and stay
stable at rates where Baseline and Amplify, which cannot, fail.
"""

import pandas as pd

from normscope.papers.chai2020.cells.lenet import VARIANTS, early_spectrum, train_lenet
from normscope.papers.chai2020.profiles import FIGS_6_TO_8
from normscope.papers.chai2020.readings.lenet import by_variant, early_eigenvalues, final_errors
from normscope.papers.shared import Profile, combinations, draw_lines, error_axis
from normscope.protocol import Cell, Claims, FixedExperiment, Judgement, NotJudgedError
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND

claim = Claims("Chai et al. 2020, §3.3, Fig. 8")
_STABLE, _FAILED, _HIGHEST_RATE = 0.1, 0.5, 10.0


def _breaking_rate(runs: pd.DataFrame) -> float | None:
    """The smallest rate at which Baseline's and Amplify's median errors are both above 50 %."""
    for rate in sorted(runs["rate"].unique()):
        errors = by_variant(runs, rate=rate)
        if min(errors["none"], errors["amplify"]) > _FAILED:
            return float(rate)
    return None


@claim(
    "stability",
    "BatchNorm and BN_Suppress remain stable at high learning rates, where Baseline and BN_Amplify become unstable.",
    "at the smallest rate where Baseline and BN_Amplify end above 50 % error: BatchNorm and BN_Suppress below 10 %",
)
def stability(table: pd.DataFrame) -> Judgement:
    runs = final_errors(table)
    if (rate := _breaking_rate(runs)) is not None:
        errors = by_variant(runs, rate=rate)
        holds = max(errors["batch"], errors["suppress"]) < _STABLE
        return Judgement({"rate": rate, **errors.named("error")}, holds, errors.seeds)
    highest = float(runs["rate"].max())
    unbroken = f"Baseline and BN_Amplify do not both fail up to rate {highest:g}"
    if highest < _HIGHEST_RATE:
        raise NotJudgedError(unbroken)
    errors = by_variant(runs, rate=highest)
    return Judgement(errors.named("error"), False, errors.seeds, f"{unbroken}; the errors are of that rate")


@claim(
    "largest-eigenvalue",
    "BN_Suppress suppresses the largest eigenvalue, and Baseline and BN_Amplify cannot.",
    "at that rate, after 5 steps: λ_max of Baseline and of BN_Amplify above BN_Suppress's",
)
def largest_eigenvalue(table: pd.DataFrame) -> Judgement:
    rate = _breaking_rate(final_errors(table))
    if rate is None:
        raise NotJudgedError("there is no rate at which Baseline and BN_Amplify both fail")
    largest = by_variant(early_eigenvalues(table, "lambda_max"), rate=rate)
    holds = min(largest["none"], largest["amplify"]) > largest["suppress"]
    return Judgement({"rate": rate, **largest.named("λ_max")}, holds, largest.seeds)


def list_cells(profile: Profile) -> list[Cell]:
    """Training runs and early spectra of every variant, rate and seed."""
    over = {"norm": VARIANTS, "rate": profile.rates}
    return [
        cell for function in (train_lenet, early_spectrum) for cell in combinations(function, profile, **over)
    ]


def draw(table: pd.DataFrame) -> plots.Figure:
    """Error on the left, largest eigenvalue on the right, a line a variant."""
    figure, (left, right) = plots.new_figure(2, columns=2)
    draw_lines(left, final_errors(table), "rate", VARIANTS)
    error_axis(left)
    left.set(title="(a) stability", ylabel="final validation error  [%]")
    draw_lines(right, early_eigenvalues(table, "lambda_max"), "rate", VARIANTS)
    right.set(title="(b) largest eigenvalue", yscale="log")
    right.set_ylabel(r"$\lambda_{\max}(R)$ after 5 steps  [input power]")
    for axes in (left, right):
        plots.rate_axis(axes, "learning rate η of the convolution weights")
    plots.legend_below(figure)
    return figure


EXPERIMENT = FixedExperiment(
    id="chai2020.fig8",
    question=(
        "Up to which learning rate is each variant stable, and is it the largest eigenvalue that decides?"
    ),
    method=(
        "The LeNets of Fig. 7 are trained at learning rates over three decades. Each final error is shown with the "
        "largest eigenvalue of the second convolution's input autocorrelation after five steps."
    ),
    caption=(
        "(a) Validation error after the last epoch and (b) largest eigenvalue of the autocorrelation R of the second "
        f"convolution's input after 5 steps, against the learning rate of the convolution weights: {MEDIAN_BAND}. A "
        "diverged run counts as chance error and as an infinite eigenvalue; a median that is infinite is a hollow "
        "marker at the upper edge, and the line stops."
    ),
    profiles=FIGS_6_TO_8,
    list_cells=list_cells,
    rules=claim.rules,
    draw=draw,
)
