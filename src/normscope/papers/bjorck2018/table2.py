"""Table 2 and Fig. 17: the highest stable learning rate with parts of batch normalization.

The variance matters most, the mean less, and the affine transformation least.
"""

import pandas as pd

from normscope.papers.bjorck2018.cells.training import ResNetTraining, train_resnet
from normscope.papers.bjorck2018.parts import (
    ALL,
    BOTH,
    BOTH_AND_MORE,
    EPOCHS,
    LOOKS,
    MEAN,
    NONE,
    PARTS,
    VARIANCE,
)
from normscope.papers.bjorck2018.profiles.training import TABLE2, RateProfile
from normscope.papers.bjorck2018.rate_drawing import add_outcomes
from normscope.papers.bjorck2018.readings.rates import (
    Search,
    highest_stable,
    is_over,
    losses_at_highest,
    search_cells,
    trials,
)
from normscope.papers.bjorck2018.readings.settings import rates_of_parts, refuse_shallow
from normscope.papers.bjorck2018.readings.training import at_end
from normscope.papers.shared import Findings, Samples, contrasts, draw_lines
from normscope.protocol import Cell, Claims, GrowingExperiment, Judgement
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND

claim = Claims("Bjorck et al. 2018, App. H, Table 2 and Fig. 17")
_WORTH, _ABOUT = 0.006, 1.25
_WINDOW = 10


@claim(
    "variance-matters",
    "Without the variance's normalization only lower learning rates are possible.",
    "highest stable rate: unnormalized and μ alone below σ² alone, μσ² and all of BN",
)
def variance_matters(table: pd.DataFrame) -> Judgement:
    rates = rates_of_parts(table)
    found = Findings(rates.named())
    found.remark(f"the highest rate tried is {trials(table)['rate'].max():g}")
    found.compare(*rates.order(*((low, high) for low in (NONE, MEAN) for high in (VARIANCE, BOTH, ALL))))
    return found.judgement()


@claim(
    "order",
    "The more parts of BN, the higher the learning rate.",
    "highest stable rate at depth 110: unnormalized < μ < σ² < all that have both μ and σ²",
)
def order(table: pd.DataFrame) -> Judgement:
    refuse_shallow(table)
    rates = rates_of_parts(table)
    found = Findings(rates.named())
    found.compare(
        *rates.order((NONE, MEAN), (MEAN, VARIANCE), *((VARIANCE, other) for other in BOTH_AND_MORE))
    )
    return found.judgement()


@claim(
    "affine-worth",
    "The affine transformation improves the final accuracy by about 0.6 %.",
    "test error at the end at depth 110: without γ and β minus with both, 0.6 points within a factor 1.25",
)
def affine_worth(table: pd.DataFrame) -> Judgement:
    refuse_shallow(table)
    ends = at_end(table, "validation_error")
    ends = ends.assign(norm=ends["variant"].str.rpartition(" ")[0])
    errors = Samples.of("error", ends, {BOTH: PARTS[BOTH], ALL: PARTS[ALL]})
    found = Findings(errors.named())
    name = f"error {PARTS[BOTH]} − {PARTS[ALL]}"
    found.compare(
        contrasts.difference(name, errors[BOTH], errors[ALL], least=_WORTH / _ABOUT, most=_WORTH * _ABOUT)
    )
    return found.judgement()


def more_cells(profile: RateProfile, table: pd.DataFrame) -> list[Cell]:
    """The searches, and then, if the profile has epochs, training to the end at the median highest stable rate."""
    (depth,) = profile.depths

    seeds = range(profile.seeds)
    searches = [Search.of(profile, norm, depth, seed) for norm in profile.variants for seed in seeds]
    cells = search_cells(table, searches)
    if not profile.epochs or not is_over(table, cells):
        return cells
    best = highest_stable(table).groupby("norm")["value"].median()
    return cells + [
        train_resnet.cell(
            ResNetTraining(
                norm, float(best[norm]), seed, profile.data, profile.images, profile.test_images, depth,
                profile.epochs * EPOCHS.get(norm, 1), batch=profile.batch,
            )
        )
        for norm in profile.variants
        for seed in seeds
        if best[norm] > 0
    ]  # fmt: skip


def draw(table: pd.DataFrame) -> plots.Figure:
    """How the trials ended on the left; on the right the loss by step at each part's highest stable rate."""
    figure, (left, right) = plots.new_figure(2, columns=2)
    ended = trials(table)
    names = {norm: name for norm, name in PARTS.items() if norm in set(ended["norm"])}
    add_outcomes(left, ended, "norm", names)
    left.set_title("(a) how the trials ended")
    plots.log_y(right, f"training loss, mean of {_WINDOW} steps")
    draw_lines(right, losses_at_highest(table, _WINDOW), "step", PARTS, LOOKS)
    right.set(title="(b) at the highest stable rate", xlabel="step")
    plots.brief_numbers(right.yaxis)
    plots.legend_below(figure, [left])
    plots.legend_inside(right, "upper right")
    return figure


EXPERIMENT = GrowingExperiment(
    id="bjorck2018.table2",
    question="Which part of batch normalization makes high learning rates possible?",
    method=(
        "Networks with parts of BN are trained at constant rates, from the highest of a grid down, until they survive "
        "one. At the paper's scale they are then trained to the end at that rate."
    ),
    caption=(
        "(a) How the trials at each learning rate ended, with the number of seeds. (b) Loss on the training batches at "
        f"each network's highest stable rate: {MEDIAN_BAND}."
    ),
    profiles=TABLE2,
    list_cells=lambda profile: [],
    rules=claim.rules,
    draw=draw,
    more_cells=more_cells,
)
