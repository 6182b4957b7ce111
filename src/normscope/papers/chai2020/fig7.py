"""Fig. 7: validation error by epoch at four learning rates.

At the lowest rate BatchNorm and Amplify train fastest, since their smallest eigenvalues are largest; as the rate grows
there is less need to amplify them, and Suppress and Baseline catch up.
"""

import contextlib

import numpy as np
import pandas as pd

from normscope.papers.chai2020.cells.lenet import VARIANTS, train_lenet
from normscope.papers.chai2020.profiles import CURVE_RATES, FIGS_6_TO_8
from normscope.papers.chai2020.readings import gates
from normscope.papers.chai2020.readings.gates import report_gate
from normscope.papers.chai2020.readings.lenet import by_variant, failed_error, validation_errors
from normscope.papers.shared import (
    Findings,
    Profile,
    Samples,
    at_last_epoch,
    chance_error,
    combinations,
    draw_lines,
    epoch_axis,
    error_axis,
)
from normscope.protocol import Cell, Claims, FixedExperiment, Judgement, NotJudgedError
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND
from normscope.report.scorecard import in_words

claim = Claims("Chai et al. 2020, §3.3, Fig. 7")
_LOW, _HIGHER, _EQUAL = 0.01, 0.5, 1.25


@claim(
    "amplify-as-fast",
    "BN_Amplify trains as fast as BatchNorm at a low learning rate.",
    "at rate 0.01, error after one epoch: BN_Amplify within a factor 1.25 of BatchNorm",
)
def amplify_as_fast(table: pd.DataFrame) -> Judgement:
    errors = by_variant("error", validation_errors(table), rate=_LOW, epoch=1)
    found = Findings(errors.named("batch", "amplify"))
    found.compare(errors.ratio("amplify", "batch", least=1 / _EQUAL, most=_EQUAL))
    report_gate(found, table, "amplify", _LOW)
    return found.judgement()


@claim(
    "speed-order",
    "BatchNorm and BN_Amplify train faster than BN_Suppress, and that faster than Baseline, at a low rate.",
    "at rate 0.01, error after one epoch: BatchNorm and BN_Amplify < BN_Suppress < Baseline",
)
def speed_order(table: pd.DataFrame) -> Judgement:
    errors = by_variant("error", validation_errors(table), rate=_LOW, epoch=1)
    found = Findings(errors.named())
    found.compare(*errors.order(("batch", "suppress"), ("amplify", "suppress"), ("suppress", "none")))
    report_gate(found, table, "suppress", _LOW, is_equality=False)
    return found.judgement()


def _over_batch(errors: Samples, norm: str) -> float:
    """The ratio of a variant's median to BatchNorm's; not finite where BatchNorm makes no error."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.divide(errors.median(norm), errors.median("batch")))


def _catches_up(table: pd.DataFrame, norm: str) -> Judgement:
    """Whether a variant's final error at the higher rate is close to BatchNorm's, and how the gap has closed."""
    everywhere = validation_errors(table)
    runs = at_last_epoch(everywhere)
    high = by_variant("error", runs, rate=_HIGHER)
    if high.median("batch") > failed_error(table):
        raise NotJudgedError(f"BatchNorm itself fails at rate {_HIGHER:g}", high.named(), high.seeds)
    found = Findings(high.named("batch", norm))
    found.compare(high.ratio(norm, "batch", most=_EQUAL))
    with contextlib.suppress(NotJudgedError):
        low = by_variant("error", runs, rate=_LOW)
        with np.errstate(divide="ignore"):
            gaps = np.log([_over_batch(one, norm) for one in (low, high)])
        if np.isfinite(gaps).all() and gaps[0] != 0:
            found.measure({f"log gap at {_HIGHER:g} / at {_LOW:g}": float(gaps[1] / gaps[0])})
    last = int(runs["epoch"].max())
    half = max(1, last // 2)
    halfway = by_variant("error", everywhere, rate=_HIGHER, epoch=half)
    ratios = [in_words("", _over_batch(one, norm)) for one in (halfway, high)]
    found.remark(f"the medians' ratio is {ratios[0]} after {half} and {ratios[1]} after {last} epochs")
    return found.judgement()


@claim(
    "suppress-catches-up",
    "BN_Suppress catches up with BatchNorm as the learning rate grows.",
    "at rate 0.5, error after the last epoch: BN_Suppress at most 1.25× BatchNorm's",
)
def suppress_catches_up(table: pd.DataFrame) -> Judgement:
    return _catches_up(table, "suppress")


@claim(
    "baseline-catches-up",
    "Baseline catches up with BatchNorm as the learning rate grows.",
    "at rate 0.5, error after the last epoch: Baseline at most 1.25× BatchNorm's",
)
def baseline_catches_up(table: pd.DataFrame) -> Judgement:
    return _catches_up(table, "none")


def list_cells(profile: Profile) -> list[Cell]:
    """Training runs of every variant, rate and seed, and the gates at the low rate."""
    training = combinations(train_lenet, profile, norm=VARIANTS, rate=CURVE_RATES)
    return [*training, *gates.list_cells(profile, _LOW)]


def draw(table: pd.DataFrame) -> plots.Figure:
    """A panel a learning rate, a line a variant."""
    errors = validation_errors(table)
    figure, panels = plots.new_figure(len(CURVE_RATES), columns=2, share_y=True)
    for letter, axes, rate in zip("abcd", panels, CURVE_RATES, strict=True):
        epoch_axis(axes)
        error_axis(axes, chance_error(table))
        draw_lines(axes, errors[errors["rate"] == rate], "epoch", VARIANTS)
        axes.set_title(f"({letter}) learning rate {rate:g}")
        axes.label_outer()
    plots.legend_below(figure)
    return figure


EXPERIMENT = FixedExperiment(
    id="chai2020.fig7",
    question=(
        "Which variants of batch normalization train faster at a low learning rate, and does the advantage last when "
        "the rate grows?"
    ),
    method=(
        "The same LeNets are trained at four learning rates of the convolution weights, all else at 0.1. Every test "
        "image is classified after each epoch."
    ),
    caption=(
        f"Validation error by epoch at four learning rates of the convolution weights: {MEDIAN_BAND}. A diverged run "
        "counts as chance."
    ),
    profiles=FIGS_6_TO_8,
    list_cells=list_cells,
    rules=claim.rules,
    draw=draw,
)
