"""Fig. 8: final validation error and the largest eigenvalue after five steps, against the learning rate.

The weight update is stable while ``η < 2/(Mλ_max)``. BatchNorm and Suppress hold the largest eigenvalue down and stay
stable at rates where Baseline and Amplify, which cannot, fail.
"""

import numpy as np
import pandas as pd

from normscope.papers.chai2020.cells.lenet import STEPS, VARIANTS, early_spectrum, train_lenet
from normscope.papers.chai2020.profiles import FIGS_6_TO_8
from normscope.papers.chai2020.readings.lenet import (
    by_variant,
    early_eigenvalues,
    failed_error,
    failed_remark,
    final_errors,
)
from normscope.papers.shared import Findings, Profile, combinations, contrasts, draw_lines, error_axis
from normscope.papers.shared.tables import chance_error
from normscope.protocol import Cell, Claims, FixedExperiment, Judgement, NotJudgedError, select
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND

claim = Claims("Chai et al. 2020, §3.3, Fig. 8")
_NEAR_BEST, _HIGHEST_RATE = 1.5, 10.0


def _rates(runs: pd.DataFrame) -> list[float]:
    """The rates at which every variant has finished runs, ascending.

    Raises:
        NotJudgedError: when there are none.
    """
    if missing := [name for norm, name in VARIANTS.items() if norm not in set(runs["norm"])]:
        raise NotJudgedError(f"no finished run of {', '.join(missing)}")
    variants = runs.groupby("rate")["norm"].nunique()
    if not (variants == len(VARIANTS)).any():
        raise NotJudgedError("at no rate has every variant a finished run")
    return sorted(float(rate) for rate in variants[variants == len(VARIANTS)].index)


def _breaks(runs: pd.DataFrame, rate: float, failed: float) -> bool:
    """Whether Baseline's and Amplify's median errors are above ``failed`` at a rate."""
    errors = by_variant("error", runs, rate=rate)
    return min(errors.median("none"), errors.median("amplify")) > failed


@claim(
    "stability",
    "BatchNorm and BN_Suppress remain stable where Baseline and BN_Amplify become unstable.",
    "at the smallest rate where Baseline and BN_Amplify end above 50 % error: BatchNorm and BN_Suppress within 1.5× of "
    "their own best error over the rates, and that below 50 %",
)
def stability(table: pd.DataFrame) -> Judgement:
    runs, failed = final_errors(table), failed_error(table)
    rates = _rates(runs)
    breaking = next((rate for rate in rates if _breaks(runs, rate, failed)), None)
    if breaking is None and rates[-1] < _HIGHEST_RATE:
        raise NotJudgedError(f"Baseline and BN_Amplify do not both fail up to rate {rates[-1]:g}")
    rate = rates[-1] if breaking is None else breaking
    errors = by_variant("error", runs, rate=rate)
    found = Findings({"rate": rate, **errors.named()})
    found.remark(failed_remark(table))
    if breaking is None:
        for norm in ("none", "amplify"):
            name = f"error {VARIANTS[norm]} at rate {rate:g}"
            found.compare(contrasts.level(name, errors[norm], least=failed))
        found.remark(f"rate {rate:g} is the highest, and Baseline and BN_Amplify do not both fail")
        return found.judgement()
    for norm in ("batch", "suppress"):
        medians = runs[runs["norm"] == norm].groupby("rate")["value"].median()
        if medians.isna().all():
            raise found.not_judged(f"no error of {VARIANTS[norm]} is a number")
        best_rate = float(medians.index.to_numpy()[medians.argmin()])
        best = select(runs, norm=norm, rate=best_rate).set_index("seed")["value"]
        name = f"error {VARIANTS[norm]} / its best, at rate {best_rate:g}"
        found.compare(contrasts.ratio(name, errors[norm], best, most=_NEAR_BEST))
        found.compare(contrasts.level(f"error {VARIANTS[norm]}, its best", best, most=failed))
        found.remark(f"the best rate of {VARIANTS[norm]} is {rate:g} itself" if best_rate == rate else "")
    return found.judgement()


@claim(
    "largest-eigenvalue",
    "BN_Suppress suppresses the largest eigenvalue, and Baseline and BN_Amplify cannot.",
    "at the largest rate at which all four are finite after 5 steps: λ_max of Baseline and of BN_Amplify above "
    "BN_Suppress's",
)
def largest_eigenvalue(table: pd.DataFrame) -> Judgement:
    runs = early_eigenvalues(table, "lambda_max")
    everywhere = runs[runs["rate"].isin(_rates(runs))]
    finite = everywhere.groupby("rate")["value"].agg(lambda values: bool(np.isfinite(values).all()))
    if not finite.any():
        raise NotJudgedError(f"at no rate is λ_max finite after {STEPS} steps for every variant and seed")
    rate = float(finite[finite].index.max())
    largest = by_variant("λ_max", runs, rate=rate)
    found = Findings({"rate": rate, **largest.named()})
    found.compare(*largest.order(("suppress", "none"), ("suppress", "amplify")))
    above = [f"{other:g}" for other in finite.index if other > rate]
    if above:
        rates = " and ".join(above)
        found.remark(f"at rates of {rates} runs diverged within {STEPS} steps, which is shown but not judged")
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
    error_axis(left, chance_error(table))
    draw_lines(left, final_errors(table), "rate", VARIANTS)
    left.set(title="(a) stability", ylabel="final validation error  [%]")
    plots.log_y(right, r"$\lambda_{\max}(R)$ after 5 steps  [input power]")
    draw_lines(right, early_eigenvalues(table, "lambda_max"), "rate", VARIANTS)
    right.set_title("(b) largest eigenvalue")
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
