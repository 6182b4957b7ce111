"""§4 and Appendix C: gradient descent on one layer of a deep linear network is descent on least-squares problems.

The condition number of the layers above then decides how long it takes and how high the learning rate may be, and it
grows with depth. The paper derives it; here it is measured.
"""

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018.cells.linear_network import descend_linear_network
from normscope.papers.bjorck2018.linear_network_drawing import draw
from normscope.papers.bjorck2018.profiles.matrices import (
    ABOVE,
    BELOW,
    LINEAR_NETWORK,
    SHARES,
    NetworkProfile,
)
from normscope.papers.bjorck2018.readings.linear_network import RUN, convergence, errors, losses
from normscope.papers.shared import combinations, seed_count
from normscope.protocol import Cell, Claims, FixedExperiment, Judgement, NotJudgedError, select
from normscope.report.captions import MEDIAN_BAND

claim = Claims("Bjorck et al. 2018, §4, App. C")
_AGREEMENT, _EQUAL, _GROWN, _MEASURED = 1e-10, 1.25, 100, 0.01


@claim(
    "trajectories",
    "Optimising one weight matrix of a linear network is solving independent linear systems, one for each column, "
    "after a change of variables.",
    "in every run and at every recorded step: each column b_j of A U Σ of the network's weights equals gradient "
    "descent on ½‖Ā b_j − ȳ_j‖² at rate η σ_j(x)², to 1e-10 of the weights' size",
    at="Proposition 1",
)
def trajectories(table: pd.DataFrame) -> Judgement:
    found = errors(table)
    worst = found.groupby("depth")["value"].agg(lambda values: values.max(skipna=False))
    measured = {f"largest difference, depth {depth}": float(value) for depth, value in worst.items()}
    stable = found.loc[found["share"] <= BELOW, "own"]
    measured["below the bound, in units of the column itself"] = float(stable.max(skipna=False))
    return Judgement(
        measured, bool((worst <= _AGREEMENT).all()), seed_count(found, "depth", "trained", "share")
    )


@claim(
    "stable-rate",
    "A larger condition number needs a smaller learning rate: the largest stable rate is 2/(σ_max(Ā) σ_max(x))².",
    "in every run: at 0.99 of it the loss falls at every step; at 1.01 of it the loss ends above 100 × its start, "
    "still rising",
)
def stable_rate(table: pd.DataFrame) -> Judgement:
    found = losses(table)
    below, above = (
        [run.to_numpy(dtype=np.float64) for _, run in select(found, share=share).groupby(RUN)["value"]]
        for share in (BELOW, ABOVE)
    )
    falls = all((np.diff(run) < 0).all() for run in below)
    rises = all(run[-1] > run[-2] for run in above)
    highest, least = np.max([run[-1] for run in below]), np.min([run[-1] for run in above])
    measured = {
        f"highest loss / its start at {BELOW:g} × bound": float(highest),
        f"lowest loss / its start at {ABOVE:g} × bound": float(least),
    }
    holds = bool(falls and rises and least > _GROWN)
    judged = found[found["share"].isin([BELOW, ABOVE])]
    return Judgement(measured, holds, seed_count(judged, "depth", "trained", "share"))


@claim(
    "kappa-squared",
    "The complexity of the descent is characterised by the condition number κ: convergence becomes slower with κ.",
    "in every run at half the largest stable rate: the slowest mode's steps to a hundredth of its start, in closed "
    "form, in units of κ² within a factor 1.25 of the shallowest network's; and equal to 1 % to the steps that the "
    "network's own movement implies, wherever it is above rounding",
)
def kappa_squared(table: pd.DataFrame) -> Judgement:
    runs = convergence(table)
    depths = sorted(runs["depth"].unique())
    seen = runs[runs["visible"]]
    if len(depths) < 2 or seen.empty:
        raise NotJudgedError(
            "it takes networks of two depths, and one whose slowest mode moves more than rounding"
        )
    per_square = runs.assign(value=runs["steps_law"] / runs["condition"] ** 2).pivot_table(
        values="value", index="depth", columns="seed", dropna=False
    )
    growth = per_square / per_square.loc[depths[0]]
    spread = float(np.maximum(growth, 1 / growth).max(skipna=False).max(skipna=False))
    error = float((seen["steps"] / seen["steps_law"] - 1).abs().max(skipna=False))
    measured = {"largest factor between steps / κ²": spread, "largest error of the closed form": error}
    for column, words in {"condition": "κ", "steps_law": "steps"}.items():
        medians = runs.groupby("depth")[column].median()
        measured |= {f"{words}, depth {depth}": float(median) for depth, median in medians.items()}
    holds = spread <= _EQUAL and error <= _MEASURED
    reason = f"the slowest mode moves more than rounding up to depth {seen['depth'].max()}"
    return Judgement(measured, holds, seed_count(runs, "depth"), reason)


def list_cells(profile: NetworkProfile) -> list[Cell]:
    """A descent for every depth, trained layer, rate and seed."""
    return [
        cell
        for depth, trained in profile.layers
        for cell in combinations(
            descend_linear_network, profile, depth=[depth], trained=[trained], share=SHARES
        )
    ]


EXPERIMENT = FixedExperiment(
    id="bjorck2018.linear_network",
    question=(
        "Is training one layer of a deep linear network the same as solving linear systems, whose condition number "
        "sets the stable rate and the time to converge?"
    ),
    method=(
        "One layer of a linear network is trained by full-batch descent on ½‖Ā A x − y‖² through the framework's own "
        "gradient, in float64. After the change of variables of Appendix C its weights are compared with the closed "
        "form of gradient descent on the least-squares problems."
    ),
    caption=(
        "(a) Difference between the columns of A U Σ of the network's weights and the closed form of the least-squares "
        "problems, the largest of all columns, at half the stability bound. (b) The loss just below and just above the "
        f"bound 2/(σ_max(Ā) σ_max(x))². Both with the first layer trained: {MEDIAN_BAND}. (c) Steps until a hundredth "
        "of the slowest mode is left, at half the bound, every seed and depth: in closed form, and as the network's "
        "own movement implies where it is above rounding."
    ),
    profiles=LINEAR_NETWORK,
    list_cells=list_cells,
    rules=claim.rules,
    draw=draw,
)
