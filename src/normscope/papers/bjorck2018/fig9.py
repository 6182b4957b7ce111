"""Fig. 9: the relationship between a squared singular value x and the angle φ that parametrises its law (eq. 9).

The paper notes that x falls strictly with φ, which makes the relationship injective. Here it is put to the test on
sampled spectra: every squared singular value has one angle, and the angles follow the law that eq. 10 gives them.
"""

import numpy as np
import pandas as pd

from normscope.papers.bjorck2018 import matrices
from normscope.papers.bjorck2018.cells.products import multiply_matrices
from normscope.papers.bjorck2018.profiles.matrices import PRODUCTS
from normscope.papers.bjorck2018.readings.products import (
    GAUSSIAN,
    angle_distance,
    angles,
    judged,
    spectra,
)
from normscope.papers.shared import Findings, combinations, contrasts
from normscope.protocol import Claims, FixedExperiment, Judgement, NotJudgedError
from normscope.report import plots
from normscope.theory.random_matrices import ProductLaw

claim = Claims("Bjorck et al. 2018, App. D, Fig. 9")
_ROUNDING, _DISTANCE = 1e-9, 0.02


@claim(
    "injective",
    "The parametrisation is strictly decreasing in φ, so that it maps x and φ one to one.",
    "every squared singular value of every draw inside the support has an angle from which eq. 9 returns it to 1e-9 of "
    "the support's width, and a larger square always has a smaller angle",
    at="eq. 9",
)
def injective(table: pd.DataFrame) -> Judgement:
    found = spectra(table)
    worst, order, outside, total = 0.0, True, 0, 0
    for (count, _), values in found.items():
        law = ProductLaw(count)
        inside = values[~((values**2 >= law.edge) | (values <= 0))]
        angle = angles(inside, count)
        worst = np.maximum(worst, np.max(np.abs(law.square_at(angle) - inside**2), initial=0.0) / law.edge)
        order = order and bool(np.all(np.diff(angle)[np.diff(inside) < 0] > 0))
        outside, total = outside + len(values) - len(inside), total + len(values)
    if total - outside < 2:
        raise NotJudgedError("fewer than two squared singular values are inside the support")
    measured = {
        "largest error / width of the support": float(worst),
        "squares beyond the support": float(outside),
        "squares": float(total),
    }
    holds = order and bool(worst <= _ROUNDING)
    return Judgement(measured, holds, len({seed for _, seed in found}))


@claim(
    "angles",
    "With the density of eq. 10, the angles of the squared singular values follow a law of their own on (0, π/(M+1)).",
    "Kolmogorov–Smirnov distance between the angles of a draw with 1,000 rows and that law below 0.02 for every M",
    at="eqs. 9 and 10",
)
def angles_follow(table: pd.DataFrame) -> Judgement:
    by_factors = judged(table, angle_distance, "KS distance of the angles,")
    found = Findings()
    for count, words in by_factors.names.items():
        name = f"KS distance of the angles, {words}"
        found.compare(contrasts.level(name, by_factors[count], most=_DISTANCE))
    return found.judgement()


def draw(table: pd.DataFrame) -> plots.Figure:
    """The curves of eq. 9, and the squared singular values of one draw at the angles that their ranks have."""
    figure, (left, right) = plots.new_figure(2, columns=2)
    found = spectra(table)
    first = min(seed for _, seed in found)
    right.set(xscale="log", yscale="log")
    for count, look in matrices.LOOKS.items():
        if (count, first) not in found:
            continue
        law, squares = ProductLaw(count), found[count, first] ** 2
        angle = law.widest * np.linspace(0, 1, 301)
        plots.curve(left, angle, law.square_at(angle), look.color)
        rest = law.widest * np.geomspace(1e-4, 0.999, 301)
        plots.curve(right, rest, law.square_at(law.widest - rest), look.color)
        by_rank = law.angle_of(law.quantile(1 - (np.arange(len(squares)) + 0.5) / len(squares)))
        evenly = np.unique(np.searchsorted(by_rank, law.widest * np.linspace(0.02, 0.98, 15)))
        smallest = len(squares) - np.unique(np.geomspace(1, len(squares), 15).astype(int))
        plots.markers(left, by_rank[evenly], squares[evenly], look, matrices.name(count))
        plots.markers(right, law.widest - by_rank[smallest], squares[smallest], look, matrices.name(count))
    left.set(title="(a) x against φ", xlabel="φ  [rad]", ylabel="x, squared singular value")
    right.set(title="(b) the lower end", xlabel="π/(M+1) − φ  [rad]", xlim=(3e-4, 2), ylim=(1e-9, 40))
    right.set_ylabel("x, squared singular value")
    plots.legend_inside(left, "upper right")
    return figure


EXPERIMENT = FixedExperiment(
    id="bjorck2018.fig9",
    question="Does every squared singular value belong to exactly one angle φ, as the parametrisation of its law says?",
    method=(
        "The squared singular values of products of Gaussian matrices are mapped to their angles by inverting eq. 9. "
        "The angles are compared with the law that eq. 10 gives them."
    ),
    caption=(
        "(a) The relationship between x and φ of eq. 9 for products of M matrices, as lines. Markers are squared "
        "singular values of one draw: the height is measured, and the place is the angle that the rank has by the law. "
        "(b) The same near x = 0, where x falls with the power M+1 of the distance to π/(M+1), on logarithmic axes."
    ),
    profiles=PRODUCTS,
    list_cells=lambda profile: combinations(multiply_matrices, profile, entries=(GAUSSIAN,)),
    rules=claim.rules,
    draw=draw,
)
