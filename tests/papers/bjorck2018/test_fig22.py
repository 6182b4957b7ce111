"""Fig. 22's claims on made-up terms, and the histograms that are drawn."""

import numpy as np
import pytest
from alignment_tables import term_rows
from chai_tables import without

from normscope.papers.bjorck2018.fig22 import EXPERIMENT, centred, skewed
from normscope.protocol import Scale, Verdict, empty_table


def table(largest=0.9, batch=0.3, far=0.6, near=0.1, **options):
    """|Σ d| / Σ|d| of the largest gradients; |mean| / std of the unnormalized largest and median gradient."""
    none = {"largest": (largest, -far), "median": (0.5, near)}
    return term_rows({"none": none, "batch": {"largest": (batch, 0.05), "median": (0.05, 0.01)}}, **options)


def test_both_claims_hold_where_the_paper_says_so():
    claims = EXPERIMENT.claims(table())
    assert [(claim.verdict, claim.seeds) for claim in claims] == [(Verdict.HOLDS, 3)] * 2
    assert claims[1].measured["|mean| / std of the largest gradient's terms"] == pytest.approx(0.6, rel=1e-2)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [({"largest": 0.51}, "holds"), ({"largest": 0.49}, "does not hold"), ({"batch": 0.91}, "does not hold")],
)
def test_the_largest_gradients_terms_must_agree_and_more_so_than_bns(changes, verdict):
    assert skewed(table(**changes)).verdict == verdict


@pytest.mark.parametrize(("near", "verdict"), [(0.59, "holds"), (-0.59, "holds"), (0.61, "does not hold")])
def test_the_median_gradients_terms_must_be_nearer_to_0(near, verdict):
    assert centred(table(near=near)).verdict == verdict


def test_seeds_scattered_about_the_bounds_do_not_decide():
    assert skewed(table(largest=0.5, scatter=0.05)).verdict is Verdict.UNDECIDED


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_a_claim_is_not_judged_at_another_depth_layer_or_batch_or_without_its_rows(rule):
    others = [table(depth=56), table(batch=0.3, layer=54), without(table(), norm="none"), table(seeds=1)]
    assert [rule(one).verdict for one in (empty_table(), *others)] == [Verdict.NOT_JUDGED] * 5


def test_the_cells_are_those_of_layer_90():
    cells = EXPERIMENT.cells(Scale.QUICK, empty_table())
    assert {(cell.config.layer_number, cell.config.depth, cell.config.batch) for cell in cells} == {
        (90, 110, 128)
    }


def test_each_panel_shows_the_terms_of_one_weight_and_their_mean():
    panels = EXPERIMENT.figure(table(scatter=0.0)).axes
    titles = [
        "(a) unnormalized, largest gradient",
        "(b) unnormalized, median gradient",
        "(c) BN, largest gradient",
    ]
    assert [axes.get_title() for axes in panels] == titles
    for axes, mean in zip(panels, (-0.6, 0.1, 0.05), strict=True):
        (stairs,) = axes.patches
        np.testing.assert_array_equal(stairs.get_data().values, [30, 98])
        assert {line.get_label(): line.get_xdata()[0] for line in axes.lines}["mean of the terms"] == mean
    assert "25% of the terms are 0" in panels[0].texts[0].get_text()


def test_the_figure_is_drawn_where_the_terms_are_not_finite():
    broken = table()
    broken.loc[broken["index"].isna(), "value"] = np.nan
    assert not any(claim.holds for claim in EXPERIMENT.claims(broken))
    EXPERIMENT.figure(broken).draw_without_rendering()
