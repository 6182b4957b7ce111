"""Fig. 24: the loss of the first and of the fifth batch along its own negative gradient, with and without BN.

With BN, the loss still falls at far higher rates. The way in the space of weights is the shorter one all the same,
since the gradient is smaller: what is higher is the rate, not the length of the step.
"""

import pandas as pd

from normscope.papers.bjorck2018.cells.landscapes import GradientLine, loss_along_gradient
from normscope.papers.bjorck2018.layers import NETWORKS
from normscope.papers.bjorck2018.looks import LOOKS
from normscope.papers.bjorck2018.profiles.diverging import LANDSCAPES, LandscapeProfile
from normscope.papers.bjorck2018.readings.landscapes import points_of
from normscope.papers.bjorck2018.readings.limits import alive_seeds, rate_limits
from normscope.papers.shared import Findings, Samples, draw_lines
from normscope.protocol import Cell, Claims, FixedExperiment, Judgement, NotJudgedError
from normscope.report import plots
from normscope.report.captions import MEDIAN_BAND

claim = Claims("Bjorck et al. 2018, App. N, Fig. 24")
_RATES = {"none": 1e-4, "batch": 0.1}
"""The rates at which the paper trains the two."""

_HIGHER = 10.0
_STEPS = {1: "first batch", 5: "fifth batch"}


def _judge(table: pd.DataFrame, step: int) -> Judgement:
    found_limits = rate_limits(table, step)
    alive, every = alive_seeds(table, step)
    if len(alive) < 2:
        raise NotJudgedError(
            f"before step {step}, the unnormalized run of {len(alive)} of {every} seeds is alive"
        )
    kept = found_limits[found_limits["seed"].isin(alive)]
    rates = Samples.of("highest falling rate", kept, NETWORKS)
    lengths = Samples.of("its length α‖g‖", kept.assign(value=kept["distance"]), NETWORKS)
    found = Findings({**rates.named(), **lengths.named()})
    found.compare(rates.ratio("batch", "none", least=_HIGHER))
    shorter = (lengths["batch"] / lengths["none"]).median()
    found.measure({"length BN / unnormalized": float(shorter)})
    if shorter < 1:
        found.remark(f"contrary: BN's step is the shorter in the space of weights, {shorter:.2g}× the other")
    open_ended = set(kept.loc[kept["is_last"], "norm"])
    if "none" in open_ended:
        raise found.not_judged(
            "without norms, some seed's loss falls up to the highest rate that was measured"
        )
    lowest = kept[kept["norm"] == "batch"].set_index("seed")["lowest"]
    if lowest.where(rates["batch"] == 0).ge(_HIGHER * rates["none"]).any():
        raise found.not_judged("with BN, some seed's loss falls at none of the rates that were measured")
    if open_ended:
        found.remark("with BN, some seed's loss falls up to the highest rate that was measured")
    return found.judgement()


@claim(
    "first-step",
    "Along the gradient of the first batch, larger rates still decrease the loss of the network with BN.",
    "highest rate α up to which the loss falls from each measured rate to the next (in float64): BN ≥ 10× unnormalized",
)
def first_step(table: pd.DataFrame) -> Judgement:
    return _judge(table, 1)


@claim(
    "fifth-step",
    "Along the gradient of the fifth batch, larger rates still decrease the loss of the network with BN.",
    "as at the first step, for seeds whose unnormalized run is alive: loss finite and above that of a guess, gradient "
    "not vanished",
)
def fifth_step(table: pd.DataFrame) -> Judgement:
    return _judge(table, 5)


def list_cells(profile: LandscapeProfile) -> list[Cell]:
    """A line of each network, step and seed."""
    alphas = {"none": profile.alphas, "batch": profile.norm_alphas}
    settings = (profile.data, profile.images, profile.depth)
    return [
        loss_along_gradient.cell(
            GradientLine(
                norm, _RATES[norm], step, seed, *settings, alphas[norm], batch=profile.batch, double=True
            )
        )
        for norm in NETWORKS
        for step in profile.at_steps
        for seed in range(profile.seeds)
    ]


def draw(table: pd.DataFrame) -> plots.Figure:
    """Loss in units of that at the start against the rate: a panel a batch, a line a network."""
    points = points_of(loss_along_gradient, table)
    lines = ["norm", "at_step", "rate", "seed"]
    start = points[points["alpha"] == 0].set_index(lines)["value"].rename("start")
    points = points.join(start, on=lines)
    points = points.assign(value=points["value"] / points["start"])[points["alpha"] > 0]
    shown = {step: title for step, title in _STEPS.items() if (points["at_step"] == step).any()}
    figure, panels = plots.new_figure(len(shown), columns=len(shown), share_y=True)
    for axes, (step, title) in zip(panels, shown.items(), strict=True):
        plots.log_y(axes)
        axes.set(xscale="log", title=title, xlabel="learning rate α of the step along −g")
        plots.mark_level(axes, 1.0, "as at the start")
        draw_lines(axes, points[points["at_step"] == step], "alpha", NETWORKS, LOOKS)
        axes.set_ylim(1e-2, 1e2)
        plots.brief_numbers(axes.xaxis)
    panels[0].set_ylabel("loss / loss at the start")
    for axes in panels[1:]:
        plots.label_edges(axes, left=False, bottom=True)
    plots.legend_below(figure)
    return figure


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig24",
    question="How large a step along the gradient of its own batch still decreases the loss, with and without BN?",
    method=(
        "Both networks are trained at the paper's rates. Before the first and before the fifth step, the loss of the "
        "step's batch is measured along its negative gradient, in float64."
    ),
    caption=(
        "Loss of the first and, if measured, of the fifth training batch in units of the loss before the step, against "
        f"the rate of a step along its negative gradient: {MEDIAN_BAND}. What is above 100 is not shown."
    ),
    profiles=LANDSCAPES,
    list_cells=list_cells,
    rules=claim.rules,
    draw=draw,
)
