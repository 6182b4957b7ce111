"""Fig. 8: final validation error and the largest eigenvalue after five steps, against the learning rate.

The weight update is stable while ``η < 2/(Mλ_max)``. BatchNorm and Suppress hold the largest eigenvalue down and stay
stable at rates where Baseline and Amplify, which cannot, fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from normscope.papers.chai2020.drawing import (
    draw_by_rate,
    legend_below,
    mark_chance,
    new_figure,
    show_percent,
)
from normscope.papers.chai2020.lenet import spectrum_cells, training_cells
from normscope.papers.chai2020.profiles import PROFILES, ChaiProfile
from normscope.papers.chai2020.readings import (
    by_name,
    early_eigenvalues,
    final_errors,
    seed_count,
    variant_medians,
)
from normscope.protocol import Cell, FixedExperiment, Judgement, NotJudgedError, claim

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_SOURCE = "Chai et al. 2020, §3.3, Fig. 8"
_STABLE, _FAILED = 0.1, 0.5
_HIGHEST_RATE = 10.0


def _breaking_rate(runs: pd.DataFrame) -> float | None:
    """The smallest rate at which Baseline's and Amplify's median errors are both above 50 %."""
    for rate in sorted(runs["rate"].unique()):
        errors = variant_medians(runs, rate=rate)
        if min(errors["none"], errors["amplify"]) > _FAILED:
            return float(rate)
    return None


@claim(
    "stability",
    "BatchNorm and BN_Suppress remain stable at high learning rates, where Baseline and BN_Amplify become unstable.",
    _SOURCE,
    "at the smallest rate where Baseline and BN_Amplify end above 50 % error: BatchNorm and BN_Suppress below 10 %",
)
def stability(table: pd.DataFrame) -> Judgement:
    """Final errors at the rate that breaks Baseline and Amplify."""
    runs = final_errors(table)
    rate = _breaking_rate(runs)
    if rate is None:
        highest = float(runs["rate"].max())
        errors = variant_medians(runs, rate=highest)
        if highest < _HIGHEST_RATE:
            raise NotJudgedError(f"Baseline and BN_Amplify do not both fail up to rate {highest:g}")
        reason = (
            f"Baseline and BN_Amplify do not both fail up to rate {highest:g}; the errors are of that rate"
        )
        return Judgement(by_name(errors, "error"), False, seed_count(runs, rate=highest), reason)
    errors = variant_medians(runs, rate=rate)
    holds = max(errors["batch"], errors["suppress"]) < _STABLE
    return Judgement({"rate": rate, **by_name(errors, "error")}, holds, seed_count(runs, rate=rate))


@claim(
    "largest-eigenvalue",
    "BN_Suppress suppresses the largest eigenvalue, and Baseline and BN_Amplify cannot.",
    _SOURCE,
    "at that rate, after 5 steps: λ_max of Baseline and of BN_Amplify above BN_Suppress's",
)
def largest_eigenvalue(table: pd.DataFrame) -> Judgement:
    """Largest eigenvalues at the rate that breaks Baseline and Amplify."""
    rate = _breaking_rate(final_errors(table))
    if rate is None:
        raise NotJudgedError("there is no rate at which Baseline and BN_Amplify both fail")
    runs = early_eigenvalues(table, "lambda_max")
    largest = variant_medians(runs, rate=rate)
    holds = min(largest["none"], largest["amplify"]) > largest["suppress"]
    return Judgement({"rate": rate, **by_name(largest, "λ_max")}, holds, seed_count(runs, rate=rate))


CLAIMS = (stability, largest_eigenvalue)


def list_cells(profile: ChaiProfile) -> list[Cell]:
    """Training runs and early spectra of every variant, rate and seed."""
    return [*training_cells(profile, profile.rates), *spectrum_cells(profile)]


def draw(table: pd.DataFrame) -> Figure:
    """Error on the left, largest eigenvalue on the right, a line a variant."""
    figure, (left, right) = new_figure(2, columns=2)
    draw_by_rate(left, final_errors(table))
    left.set(title="(a) stability", yscale="log", ylabel="final validation error  [%]")
    show_percent(left)
    mark_chance(left)
    draw_by_rate(right, early_eigenvalues(table, "lambda_max"))
    right.set(
        title="(b) largest eigenvalue",
        yscale="log",
        ylabel=r"$\lambda_{\max}(R)$ after 5 steps  [input power]",
    )
    legend_below(figure)
    return figure


EXPERIMENT = FixedExperiment(
    id="chai2020.fig8",
    question=(
        "Up to which learning rate is each variant stable, and is it the largest eigenvalue that decides?"
    ),
    method=(
        "The LeNets of Fig. 7 are trained at learning rates over three decades. Beside each final error "
        "stands the largest eigenvalue of the second convolution's input autocorrelation after five "
        "steps."
    ),
    caption=(
        "(a) Validation error after the last epoch and (b) largest eigenvalue of the autocorrelation R of the second "
        "convolution's input after 5 steps, against the learning rate of the convolution weights: median over seeds, "
        "with the band from the first to the third quartile. A diverged run counts as chance error and as an infinite "
        "eigenvalue; a median that is infinite is a hollow marker at the upper edge, and the line stops."
    ),
    profiles=PROFILES,
    list_cells=list_cells,
    rules=CLAIMS,
    draw=draw,
)
