"""The claims on tables of made-up blocks, and the figure on a table that is real."""

import math

import pytest
from chai_tables import real_table, scaling_table, tiny

from normscope.papers.chai2020.cells.scaled_inputs import SCALINGS
from normscope.papers.chai2020.fig4_channel_scaling import EXPERIMENT, blocks_scale, decorrelated, mixture
from normscope.papers.chai2020.profiles import CORRELATIONS
from normscope.protocol import Scale, Verdict, empty_table


def test_every_claim_holds_on_blocks_and_eigenvalues_as_the_paper_says():
    claims = EXPERIMENT.claims(scaling_table())
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 3
    assert all(claim.seeds == 3 for claim in claims)


def test_powers_of_two_must_scale_exactly_and_others_to_rounding():
    assert blocks_scale(scaling_table(block_error=1e-16)).holds is False
    exact = scaling_table()
    rounded = (exact["scaling"] == "unit_power") & (exact["measure"] == "block_error")
    assert blocks_scale(exact.assign(value=exact["value"].mask(rounded, 9e-13))).holds is True
    assert blocks_scale(exact.assign(value=exact["value"].mask(rounded, 2e-12))).holds is False
    assert blocks_scale(exact.assign(value=exact["value"].mask(rounded, math.nan))).holds is False


def test_decorrelated_eigenvalues_must_be_the_blocks_own():
    assert decorrelated(scaling_table(nudge=lambda value: value * (1 + 5e-7))).holds is True
    claim = decorrelated(scaling_table(nudge=lambda value: value * (1 + 2e-6)))
    assert claim.holds is False
    assert claim.measured["largest relative error"] == pytest.approx(2e-6, rel=1e-4)
    assert decorrelated(scaling_table(nudge=lambda value: math.nan if value == 1 else value)).holds is False


def test_an_eigenvalue_below_rounding_is_compared_with_the_largest():
    assert decorrelated(scaling_table(nudge=lambda value: value + 1e-13)).holds is True
    assert decorrelated(scaling_table(nudge=lambda value: value + 1e-11)).holds is False


@pytest.mark.parametrize(
    "spread",
    [
        lambda share: 0.49 * share,  # the largest eigenvalue is off by less than a factor 1.25
        lambda share: 1 if share else 0,  # no nearer on the way
        lambda share: 1 - share,  # the wrong way round
    ],
)
def test_the_mixture_does_not_hold_when_decorrelation_does_not_bring_the_eigenvalues_nearer(spread):
    assert mixture(scaling_table(spread=spread, scatter=0.0)).verdict is Verdict.FAILS


def test_the_mixture_holds_up_to_its_bound():
    assert mixture(scaling_table(spread=lambda share: 0.51 * share)).verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    "spread",
    [
        lambda share: 0.51 * share,
        lambda share: 0.49 * share,
        lambda share: {0.5: 0.6, 0.75: 0.61}.get(share, share),
        lambda share: {0.5: 0.6, 0.75: 0.59}.get(share, share),
    ],
)
def test_the_mixture_is_undecided_on_seeds_scattered_about_a_bound(spread):
    claim = mixture(scaling_table(spread=spread, seeds=5, scatter=0.1))
    assert claim.verdict is Verdict.UNDECIDED
    assert "over 5 seeds between" in claim.reason


def test_the_mixture_is_not_judged_on_one_seed_and_what_is_exact_is():
    claims = {claim.id: claim for claim in EXPERIMENT.claims(scaling_table(seeds=1))}
    assert claims["mixture"].verdict is Verdict.NOT_JUDGED
    assert "one seed gives no interval" in claims["mixture"].reason
    assert {claims[name].verdict for name in ("blocks-scale", "decorrelated")} == {Verdict.HOLDS}


def test_the_distance_is_the_share_of_power_at_another_eigenvalue():
    measured = mixture(scaling_table(scatter=0.0)).measured
    assert measured["distance, to power 1, at 1"] == pytest.approx((0.5 + 5) / (0.5 + 15))
    assert measured["λ_max / blocks' own, powers of two"] == pytest.approx(1.5)


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_without_the_rows_it_needs_a_claim_is_not_judged(rule):
    assert rule(empty_table()).holds is None
    assert rule(scaling_table().assign(function="another")).holds is None


def test_half_a_table_is_not_judged():
    assert decorrelated(scaling_table(correlations=(0.5, 1.0))).holds is None
    assert "0.25" in mixture(scaling_table(correlations=(0.0, 0.5, 1.0))).reason
    assert mixture(scaling_table(scalings=["powers_of_two"])).holds is None
    assert blocks_scale(scaling_table(scalings=["powers_of_two"])).holds is None


def test_a_mixture_without_one_set_of_factors_names_it():
    assert "unit_power" in mixture(scaling_table(scalings=["powers_of_two"])).reason


def test_there_is_a_cell_for_every_factor_correlation_and_seed():
    cells = EXPERIMENT.cells(Scale.QUICK, empty_table())
    assert len(cells) == len(SCALINGS) * len(CORRELATIONS) * EXPERIMENT.profile(Scale.QUICK).seeds


def test_on_real_digits_every_claim_holds_and_the_figure_draws():
    table = real_table(EXPERIMENT, tiny(EXPERIMENT, images=8, seeds=3))
    assert [claim.verdict for claim in EXPERIMENT.claims(table)] == [Verdict.HOLDS] * 3
    figure = EXPERIMENT.figure(table)
    assert [axes.get_title()[:3] for axes in figure.axes] == ["(a)", "(b)", "(c)"]
    figure.draw_without_rendering()


def test_eigenvalues_without_their_counterpart_are_left_out():
    table = scaling_table()
    lacking = table[(table["measure"] != "block_eigenvalue") | (table["index"] > 0)]
    claim = decorrelated(lacking)
    assert claim.holds is True
    assert claim.measured["eigenvalues compared"] == 12  # two of three, of three runs of either factors
