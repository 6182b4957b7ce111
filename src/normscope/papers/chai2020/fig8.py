"""Fig. 8: final validation error and the largest eigenvalue after five steps, against the learning rate.

The weight update is stable while ``η < 2/(Mλ_max)``. BatchNorm and Suppress hold the largest eigenvalue down and stay
stable at rates where Baseline and Amplify, which cannot, fail.
"""

import numpy as np
import pandas as pd

from normscope.papers.chai2020.cells.lenet import STEPS, VARIANTS, early_spectrum, train_lenet
from normscope.papers.chai2020.profiles import FIGS_6_TO_8
from normscope.papers.chai2020.readings.lenet import by_variant, early_eigenvalues, final_errors
from normscope.papers.shared import Findings, Profile, combinations, contrasts, draw_lines, error_axis
from normscope.protocol import Cell, Claims, FixedExperiment, Judgement, NotJudgedError
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND

claim = Claims("Chai et al. 2020, §3.3, Fig. 8")
_FAILED, _NEAR_BEST, _HIGHEST_RATE = 0.5, 1.5, 10.0


def _breaking_rate(runs: pd.DataFrame) -> float | None:
    """The smallest rate at which Baseline's and Amplify's median errors are both above 50 %."""
    for rate in sorted(runs["rate"].unique()):
        errors = by_variant("error", runs, rate=rate)
        if min(errors.median("none"), errors.median("amplify")) > _FAILED:
            return float(rate)
    return None


@claim(
    "stability",
    "BatchNorm and BN_Suppress remain stable where Baseline and BN_Amplify become unstable.",
    "at the smallest rate where Baseline and BN_Amplify end above 50 % error: BatchNorm and BN_Suppress within 1.5× of "
    "their own best error over the rates",
)
def stability(table: pd.DataFrame) -> Judgement:
    runs = final_errors(table)
    breaking, highest = _breaking_rate(runs), float(runs["rate"].max())
    if breaking is None and highest < _HIGHEST_RATE:
        raise NotJudgedError(f"Baseline and BN_Amplify do not both fail up to rate {highest:g}")
    rate = breaking or highest
    errors = by_variant("error", runs, rate=rate)
    found = Findings({"rate": rate, **errors.named()})
    if breaking is None:
        found.remark(
            f"Baseline and BN_Amplify do not both fail up to rate {highest:g}, whose errors these are"
        )
        for norm in ("none", "amplify"):
            name = f"error {VARIANTS[norm]} over all seeds"
            found.compare(contrasts.level(name, errors[norm], least=_FAILED))
        return found.judgement()
    for norm in ("batch", "suppress"):
        best_rate = runs[runs["norm"] == norm].groupby("rate")["value"].median().idxmin()
        best = by_variant("error", runs, rate=best_rate)
        name = f"error {VARIANTS[norm]} / its best, at rate {best_rate:g}"
        found.compare(contrasts.ratio(name, errors[norm], best[norm], most=_NEAR_BEST))
    return found.judgement()


@claim(
    "largest-eigenvalue",
    "BN_Suppress suppresses the largest eigenvalue, and Baseline and BN_Amplify cannot.",
    "at the largest rate at which all four are finite after 5 steps: λ_max of Baseline and of BN_Amplify above "
    "BN_Suppress's",
)
def largest_eigenvalue(table: pd.DataFrame) -> Judgement:
    runs = early_eigenvalues(table, "lambda_max")
    finite = runs.groupby("rate")["value"].agg(lambda values: bool(np.isfinite(values).all()))
    if not finite.any():
        raise NotJudgedError("at no rate is λ_max finite after 5 steps for every variant and seed")
    rate = float(finite[finite].index.max())
    largest = by_variant("λ_max", runs, rate=rate)
    found = Findings({"rate": rate, **largest.named()})
    found.compare(*largest.order(("suppress", "none"), ("suppress", "amplify")))
    above = [f"{other:g}" for other in finite.index if other > rate]
    found.remark(f"at rates of {' and '.join(above)} runs diverged within {STEPS} steps" if above else "")
    return found.judgement()


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
