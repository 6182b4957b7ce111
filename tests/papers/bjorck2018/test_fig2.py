"""Fig. 2's claims on made-up gradients."""

import math

import numpy as np
import pytest
from chai_tables import without
from gradient_tables import statistics_rows

from normscope.papers.bjorck2018.fig2 import EXPERIMENT, heavier_tails, larger
from normscope.protocol import Scale, Verdict, empty_table


def table(times=100.0, tails=3.0, **options):
    """Unnormalized gradients so many times BN's, and so many times its kurtosis."""
    common = {"count": 8.0, "mean": 0.0, "std": 0.5, "rms": 1.0}
    none = {"mean_abs": 0.01 * times, "kurtosis": 4.0 * tails, **common}
    return statistics_rows({"none": none, "batch": {"mean_abs": 0.01, "kurtosis": 4.0, **common}}, **options)


def test_both_claims_hold_on_the_papers_numbers():
    claims = EXPERIMENT.claims(table())
    assert [(claim.verdict, claim.seeds) for claim in claims] == [(Verdict.HOLDS, 3)] * 2
    assert claims[0].measured["mean |gradient| unnormalized / BN"] == pytest.approx(100, rel=1e-2)


@pytest.mark.parametrize(
    ("times", "scatter", "verdict"),
    [(30.5, 1e-3, "holds"), (29.5, 1e-3, "does not hold"), (30, 0.1, "undecided")],
)
def test_the_gradients_must_be_thirty_times_larger(times, scatter, verdict):
    assert larger(table(times, scatter=scatter)).verdict == verdict


@pytest.mark.parametrize(
    ("tails", "scatter", "verdict"),
    [
        (1.02, 1e-3, "holds"),
        (0.98, 1e-3, "does not hold"),
        (1.0, 0.1, "undecided"),
        (1.0, 0.0, "does not hold"),
    ],
)
def test_the_kurtosis_must_be_above_bns(tails, scatter, verdict):
    assert heavier_tails(table(tails=tails, scatter=scatter)).verdict == verdict


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
class TestNotJudged:
    def test_at_another_depth_whose_layers_are_others(self, rule):
        claim = rule(table(depth=20))
        assert claim.verdict is Verdict.NOT_JUDGED
        assert claim.reason == "the paper's layers are those of a network of 110 layers, and this one has 20"

    def test_without_the_rows_that_it_needs(self, rule):
        assert rule(empty_table()).verdict is Verdict.NOT_JUDGED
        lacking = rule(without(table(), norm="batch"))
        assert (lacking.verdict, "BN" in lacking.reason) == (Verdict.NOT_JUDGED, True)
        assert rule(table(layer=45)).verdict is Verdict.NOT_JUDGED

    def test_of_one_seed(self, rule):
        assert "one seed gives no interval" in rule(table(seeds=1)).reason

    def test_where_no_number_is_finite(self, rule):
        assert rule(table(math.nan, math.nan)).verdict is Verdict.NOT_JUDGED


def test_the_figure_shows_the_counts_of_each_network_with_its_normal_distribution():
    figure = EXPERIMENT.figure(table())
    assert [axes.get_title() for axes in figure.axes] == ["(a) BN, layer 55", "(b) unnormalized, layer 55"]
    for axes in figure.axes:
        (stairs,) = axes.patches
        assert stairs.get_data().values.tolist() == [3, 5]
        (curve,) = axes.lines
        x, y = curve.get_data()
        assert np.trapezoid(y, x) == pytest.approx(8 * 1.0 * math.erf(2 / math.sqrt(2)), rel=1e-2)


def test_there_is_a_cell_for_each_network_and_seed():
    cells = EXPERIMENT.cells(Scale.QUICK, empty_table())
    assert [(cell.config.norm, cell.config.seed) for cell in cells] == [
        (norm, seed) for norm in ("none", "batch") for seed in range(3)
    ]
    assert {cell.config.depth for cell in cells} == {110}
