"""Fig. 1: batch normalization at the learning rate of the network without it.

With norms the network bears a rate of 0.1. At 0.0001, the rate of the unnormalized network, it ends no better than that
network, with a lower training loss. So it is the higher rate that improves the result.
"""

import pandas as pd

from normscope.papers.bjorck2018.cells.configuration import Place
from normscope.papers.bjorck2018.cells.training import ResNetTraining, train_resnet
from normscope.papers.bjorck2018.profiles.training import TRAINING, TrainingProfile
from normscope.papers.bjorck2018.readings.training import at_end, by_epoch, refuse_unfinished
from normscope.papers.shared import (
    Findings,
    Samples,
    chance_error,
    contrasts,
    draw_lines,
    epoch_axis,
    error_axis,
)
from normscope.protocol import Cell, Claims, FixedExperiment, Judgement
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND

claim = Claims("Bjorck et al. 2018, §2, Fig. 1")
NAMES = {
    "batch 0.1": "BN, 0.1",
    "batch 0.003": "BN, 0.003",
    "batch 0.0001": "BN, 0.0001",
    "none 0.0001": "unnormalized, 0.0001",
}
"""The runs: the network and the rate it starts with."""

LOOKS = {
    "batch 0.1": plots.Look(plots.VERMILION, "s", "-"),
    "batch 0.003": plots.Look(plots.ORANGE, "^", "-."),
    "batch 0.0001": plots.Look(plots.BLUE, "v", ":"),
    "none 0.0001": plots.Look(plots.BLACK, "o", "--"),
}
_BEST, _MIDDLE, _LOW, _NONE = NAMES
_EQUAL = 1.25


@claim(
    "low-rate-no-better",
    "At a learning rate of 0.0001, the network with BN is no better than the unnormalized one.",
    "test error at the end, where both have stopped learning: BN at 0.0001 at least the unnormalized network's / 1.25",
)
def low_rate_no_better(table: pd.DataFrame) -> Judgement:
    errors = Samples.of("error", at_end(table, "validation_error"), NAMES, "variant")
    refuse_unfinished(table, _LOW, _NONE)
    found = Findings(errors.named(_LOW, _NONE))
    found.compare(errors.ratio(_LOW, _NONE, least=1 / _EQUAL))
    return found.judgement()


@claim(
    "low-rate-overfits",
    "At a learning rate of 0.0001, the network with BN has a lower training loss than the unnormalized one.",
    "training loss of the last epoch, where both have stopped learning: BN < unnormalized",
)
def low_rate_overfits(table: pd.DataFrame) -> Judgement:
    losses = Samples.of("training loss", at_end(table, "train_loss"), NAMES, "variant")
    refuse_unfinished(table, _LOW, _NONE)
    found = Findings(losses.named(_LOW, _NONE))
    found.compare(*losses.order((_LOW, _NONE)))
    return found.judgement()


@claim(
    "high-rate-best",
    "With BN, the highest rate gives the best test accuracy.",
    "test error where all have stopped learning: BN at 0.1 below BN at 0.003 and at 0.0001 and unnormalized",
)
def high_rate_best(table: pd.DataFrame) -> Judgement:
    errors = Samples.of("error", at_end(table, "validation_error"), NAMES, "variant")
    refuse_unfinished(table, *NAMES)
    found = Findings(errors.named())
    found.compare(*errors.order((_BEST, _MIDDLE), (_BEST, _LOW), (_BEST, _NONE)))
    return found.judgement()


@claim(
    "gap-shrinks",
    "The gap between training and test accuracy is larger at a lower rate.",
    "test minus training error at the end, where all have stopped learning: BN at 0.1 < at 0.003 < at 0.0001",
)
def gap_shrinks(table: pd.DataFrame) -> Judgement:
    keys = ["variant", "seed"]
    test, train = (at_end(table, one).set_index(keys)["value"] for one in ("validation_error", "train_error"))
    gaps = Samples.of("error gap", (test - train).reset_index(), NAMES, "variant")
    refuse_unfinished(table, _BEST, _MIDDLE, _LOW)
    found = Findings(gaps.named(_BEST, _MIDDLE, _LOW))
    for low, high in ((_BEST, _MIDDLE), (_MIDDLE, _LOW)):
        name = f"error gap {NAMES[low]} − {NAMES[high]}"
        found.compare(contrasts.difference(name, gaps[low], gaps[high], most=0.0, strict=True))
    return found.judgement()


def run(profile: TrainingProfile, norm: str, rate: float, seed: int, place: Place = "after") -> Cell:
    """The training run of a network at a rate."""
    return train_resnet.cell(
        ResNetTraining(
            norm, rate, seed, profile.data, profile.images, profile.test_images, profile.depth,
            profile.epochs_at(rate), place, profile.batch,
        )
    )  # fmt: skip


def list_cells(profile: TrainingProfile) -> list[Cell]:
    """BN at every rate and the unnormalized network at the lowest."""
    wanted = [*(("batch", rate) for rate in profile.rates), ("none", min(profile.rates))]
    return [run(profile, norm, rate, seed) for norm, rate in wanted for seed in range(profile.seeds)]


def draw(table: pd.DataFrame) -> plots.Figure:
    """Training error on the left, test error on the right, a line a run."""
    figure, panels = plots.new_figure(2, columns=2, share_y=True)
    shown = (("train_error", "(a) training"), ("validation_error", "(b) test"))
    for axes, (measure, title) in zip(panels, shown, strict=True):
        error_axis(axes, chance_error(table))
        draw_lines(axes, by_epoch(table, measure), "epoch", NAMES, LOOKS, "variant")
        epoch_axis(axes)
        axes.set_title(title)
    panels[0].set_ylabel("error  [%]")
    plots.label_edges(panels[1], left=False, bottom=True)
    plots.legend_below(figure)
    return figure


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig1",
    question="Does batch normalization help at the low learning rate that a network without it needs?",
    method=(
        "The residual network with BN is trained at three learning rates, the one without norms at the lowest. Each "
        "rate is divided by ten after half and after three quarters of the epochs."
    ),
    caption=(
        "(a) Share of wrong answers in the epoch's own, augmented training batches and (b) on test images, by epoch: "
        f"{MEDIAN_BAND}. A diverged run counts as chance error."
    ),
    profiles=TRAINING,
    list_cells=list_cells,
    rules=claim.rules,
    draw=draw,
)
