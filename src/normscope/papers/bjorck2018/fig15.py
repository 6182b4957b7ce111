"""Figs. 15 and 16: one norm at the top of the network, before the pooling and the last layer.

It scales the gradients as norms everywhere do, and gives much of the gain: so normalizing the output matters most.
"""

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018.cells.configuration import AtInitialisation, Place
from normscope.papers.bjorck2018.cells.gradients import layer_gradients
from normscope.papers.bjorck2018.cells.rate_trial import RateTrial
from normscope.papers.bjorck2018.fig1 import run
from normscope.papers.bjorck2018.looks import LOOKS
from normscope.papers.bjorck2018.profiles.training import TRAINING, TrainingProfile
from normscope.papers.bjorck2018.readings.rates import Search, highest_stable, search_cells
from normscope.papers.bjorck2018.readings.top_norm import (
    NAMES,
    NETWORKS,
    best_curves,
    best_errors,
    gradients_by_layer,
    with_network,
)
from normscope.papers.shared import (
    Findings,
    Samples,
    chance_error,
    contrasts,
    draw_lines,
    epoch_axis,
    error_axis,
)
from normscope.protocol import Cell, Claims, GrowingExperiment, Judgement
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND

claim = Claims("Bjorck et al. 2018, §3.1 and App. G, Figs. 15 and 16")
_NEARER, _STEPS = 0.95, 200


@claim(
    "gradients-scaled",
    "A single norm at the top scales the gradients as norms everywhere do.",
    "mean |gradient| of the layers' weights at initialisation: BN at the top is nearer to BN than unnormalized is, in "
    "|log ratio|, at 95 % of layers or more",
)
def gradients_scaled(table: pd.DataFrame) -> Judgement:
    logs = np.log(gradients_by_layer(table))
    near, far = ((logs[name] - logs["batch"]).abs() for name in ("top", "none"))
    found = Findings(
        {f"|log ratio| to BN, {NAMES[n]}": float(d.median()) for n, d in (("top", near), ("none", far))}
    )
    shares = (near < far).groupby("seed").mean()
    found.compare(contrasts.level("share of layers nearer to BN", shares, least=_NEARER))
    return found.judgement()


@claim(
    "higher-rate",
    "With a norm at the top, the network tolerates a higher learning rate than without norms.",
    "highest stable rate: BN at the top > unnormalized",
)
def higher_rate(table: pd.DataFrame) -> Judgement:
    rates = with_network(highest_stable(table))
    samples = Samples.of("highest stable rate", rates, {n: NAMES[n] for n in ("none", "top")}, "network")
    found = Findings(samples.named())
    found.compare(*samples.order(("none", "top")))
    return found.judgement()


@claim(
    "between",
    "With a norm at the top, the network ends between the unnormalized one and the one with norms everywhere.",
    "test error at the end, each network at the best of its rates: BN < BN at the top < unnormalized",
)
def between(table: pd.DataFrame) -> Judgement:
    errors = best_errors(table)
    found = Findings(errors.named())
    found.compare(*errors.order(("batch", "top"), ("top", "none")))
    return found.judgement()


def list_cells(profile: TrainingProfile) -> list[Cell]:
    """Gradients at initialisation, and the networks trained to the end."""
    cells, seeds = [], range(profile.seeds)
    for network, (norm, place) in NETWORKS.items():
        for seed in seeds:
            start = AtInitialisation(
                norm, seed, profile.data, profile.initial_images, profile.initial_depth, place
            )
            cells.append(layer_gradients.cell(start))
        cells += [
            run(profile, norm, rate, seed, place) for rate in profile.rates_of[network] for seed in seeds
        ]
    return cells


def more_cells(profile: TrainingProfile, table: pd.DataFrame) -> list[Cell]:
    """The search for the highest stable rate without norms and with one at the top."""

    def trial(norm: str, place: Place, seed: int) -> RateTrial:
        data, images = profile.data, profile.initial_images
        return RateTrial(
            norm, profile.trial_rates[0], seed, data, images, profile.depth, _STEPS, place, profile.batch
        )

    networks = [NETWORKS[name] for name in ("none", "top")]
    return search_cells(
        table,
        [Search(trial(*one, seed), profile.trial_rates) for one in networks for seed in range(profile.seeds)],
    )


def draw(table: pd.DataFrame) -> plots.Figure:
    """Gradients by layer, then the training and test error of each network at the best of its rates."""
    figure, (left, middle, right) = plots.new_figure(3, columns=3)
    plots.log_y(left, "mean |gradient| of the weight")
    gradients = gradients_by_layer(table).melt(ignore_index=False).reset_index()
    draw_lines(left, gradients, "number", NAMES, LOOKS, "network")
    left.set(title="(a) at initialisation", xlabel="layer")
    for axes, measure, title in (
        (middle, "train_error", "(b) training"),
        (right, "validation_error", "(c) test"),
    ):
        error_axis(axes, chance_error(table))
        draw_lines(axes, best_curves(table, measure), "epoch", dict.fromkeys(NETWORKS, ""), LOOKS, "network")
        epoch_axis(axes)
        axes.set(title=title, ylabel="error  [%]")
    plots.legend_below(figure)
    return figure


EXPERIMENT = GrowingExperiment(
    id="bjorck2018.fig15",
    question="How much of batch normalization's effect does a single norm at the top of the network have?",
    method=(
        "Gradients at initialisation are compared layer by layer. Then the three networks are trained to the end, and "
        "the highest stable rate is searched for."
    ),
    caption=(
        "(a) Mean |gradient| of each convolution's weight at initialisation. (b) Error on the epoch's own training "
        f"batches and (c) on test images, each network at the best of its rates: {MEDIAN_BAND}."
    ),
    profiles=TRAINING,
    list_cells=list_cells,
    rules=claim.rules,
    draw=draw,
    more_cells=more_cells,
)
