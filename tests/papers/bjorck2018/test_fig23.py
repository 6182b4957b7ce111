"""Fig. 23's claim on made-up weights, and the points that are drawn."""

import numpy as np
import pytest
from alignment_tables import weight_rows
from chai_tables import without

from normscope.papers.bjorck2018.fig23 import EXPERIMENT, diagonal
from normscope.protocol import Scale, Verdict, empty_table

SPREAD = (0.1, 0.5, 1.0, 1.5, 1.9)
"""Ratios of weights, in units of their median."""


def table(none=0.4, batch=0.01, more=(), **options):
    ratios = {"none": none, "batch": batch}
    return weight_rows(
        {norm: [*(median * one for one in SPREAD), *more] for norm, median in ratios.items()}, **options
    )


def test_the_claim_holds_where_the_paper_says_so():
    claim = diagonal(table())
    assert (claim.verdict, claim.seeds) == (Verdict.HOLDS, 3)
    assert claim.measured["median of |Σ d| / Σ|d|, unnormalized"] == pytest.approx(0.4, rel=1e-2)
    assert claim.measured["median of |Σ d| / Σ|d|, BN"] == pytest.approx(0.01, rel=1e-2)


@pytest.mark.parametrize(
    ("none", "batch", "verdict"),
    [
        (0.202, 0.01, "holds"),
        (0.198, 0.01, "does not hold"),
        (0.4, 0.0495, "holds"),
        (0.4, 0.0505, "does not hold"),
        (0.02, 0.3, "does not hold"),
    ],
)
def test_both_medians_have_a_bound(none, batch, verdict):
    assert diagonal(table(none, batch)).verdict == verdict


def test_weights_without_any_term_have_no_ratio_and_are_counted():
    claim = diagonal(table(more=[None] * 20))
    assert claim.measured["median of |Σ d| / Σ|d|, unnormalized"] == pytest.approx(0.4, rel=1e-2)
    assert claim.measured["share of weights with any term, BN"] == pytest.approx(5 / 25)


def test_seeds_scattered_about_the_bound_do_not_decide():
    assert diagonal(table(none=0.2, scatter=0.1)).verdict is Verdict.UNDECIDED


def test_the_claim_is_not_judged_at_another_depth_layer_or_batch_or_without_its_rows():
    others = [table(depth=56), table(layer=90), without(table(), norm="none"), table(seeds=1)]
    small = weight_rows({"none": [0.5], "batch": [0.01]}, batch=64)
    assert [diagonal(one).verdict for one in (empty_table(), small, *others)] == [Verdict.NOT_JUDGED] * 6


def test_the_cells_are_those_of_layer_54():
    cells = EXPERIMENT.cells(Scale.LAPTOP, empty_table())
    assert {cell.config.layer_number for cell in cells} == {54}


def test_each_weight_of_the_first_seed_is_a_point_and_small_ones_are_at_the_edge():
    left, right = EXPERIMENT.figure(table(more=[None], scatter=0.0)).axes
    points, *_ = left.lines
    assert len(points.get_xdata()) == len(SPREAD) + 1
    np.testing.assert_allclose(points.get_ydata()[:5], 0.4e-4 * np.array(SPREAD))
    assert (points.get_xdata()[5], points.get_ydata()[5]) == pytest.approx(
        (left.get_xlim()[0], left.get_ylim()[0])
    )
    assert (left.get_title(), right.get_title()) == ("(a) unnormalized, layer 54", "(b) BN, layer 54")
    assert left.get_xlim() == right.get_xlim()


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_the_figure_is_drawn_where_no_weight_can_be(value):
    broken = table()
    for rows in (broken["norm"] == "none", slice(None)):
        broken.loc[rows, "value"] = value
        assert not diagonal(broken).holds
        EXPERIMENT.figure(broken).draw_without_rendering()
