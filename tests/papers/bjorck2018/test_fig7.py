"""Fig. 7's claims on made-up matrices of gradients."""

import numpy as np
import pytest
from chai_tables import without
from gradient_tables import CHANNELS, pair_rows, uneven

from normscope.papers.bjorck2018.fig7 import EXPERIMENT, low_rank, uneven_channels
from normscope.papers.bjorck2018.readings.gradients import first_share
from normscope.protocol import Verdict, empty_table

BY_INPUT, BY_OUTPUT = 0.8, 0.6
"""Coefficients of variation of the unnormalized matrix, which has rank one."""


def table(inputs=0.2, outputs=0.2, noise=0.5, layer=45, **options):
    """BN's coefficients of variation, and the size of what makes its rank full without changing its means."""
    none = np.outer(uneven(BY_OUTPUT), uneven(BY_INPUT))
    checks = np.kron(np.array([[1, -1], [-1, 1]]), np.eye(CHANNELS // 2))
    batch = np.outer(uneven(outputs), uneven(inputs)) * (1 + noise * checks)
    return pair_rows({"none": none, "batch": batch}, layer, **options)


def test_both_claims_hold_on_the_papers_numbers():
    claims = EXPERIMENT.claims(table())
    assert [(claim.verdict, claim.seeds) for claim in claims] == [(Verdict.HOLDS, 3)] * 2
    measured = claims[0].measured
    assert measured["variation of input channels unnormalized"] == pytest.approx(BY_INPUT, rel=1e-2)
    assert measured["variation of output channels unnormalized"] == pytest.approx(BY_OUTPUT, rel=1e-2)
    assert measured["variation of output channels BN"] == pytest.approx(0.2, rel=1e-2)


@pytest.mark.parametrize(
    ("inputs", "outputs", "verdict"),
    [
        (BY_INPUT / 2.05, 0.1, "holds"),
        (BY_INPUT / 1.95, 0.1, "does not hold"),
        (0.1, BY_OUTPUT / 2.05, "holds"),
        (0.1, BY_OUTPUT / 1.95, "does not hold"),
    ],
)
def test_both_sides_of_the_matrix_must_be_twice_as_uneven(inputs, outputs, verdict):
    assert uneven_channels(table(inputs, outputs)).verdict == verdict


def test_seeds_scattered_about_the_bound_do_not_decide():
    assert uneven_channels(table(inputs=BY_INPUT / 2, scatter=0.1)).verdict is Verdict.UNDECIDED


def test_a_matrix_of_rank_one_with_bn_too_is_no_low_rank_of_the_unnormalized():
    assert low_rank(table(noise=0.0)).verdict is not Verdict.HOLDS
    swapped = table().assign(norm=lambda rows: rows["norm"].map({"none": "batch", "batch": "none"}))
    assert low_rank(swapped).verdict is Verdict.FAILS


def test_the_share_of_the_first_singular_value_is_that_of_the_nuclear_norm():
    assert first_share(np.diag([1.0, 3.0, 4.0])) == 0.5
    assert first_share(np.outer([1.0, 2.0], [3.0, 4.0])) == pytest.approx(1)
    assert np.isnan(first_share(np.array([[1.0, np.nan]])))
    assert np.isnan(first_share(np.zeros((2, 2))))


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_a_claim_is_not_judged_at_another_depth_or_layer_or_without_its_rows(rule):
    missing = [empty_table(), table(depth=56), table(layer=35), without(table(), norm="none"), table(seeds=1)]
    assert [rule(one).verdict for one in missing] == [Verdict.NOT_JUDGED] * 5
    assert "this one has 56" in rule(missing[1]).reason


def test_the_figure_shows_each_matrix_in_units_of_its_mean_and_the_singular_values():
    left, middle, right, *_ = EXPERIMENT.figure(table(scatter=0.0)).axes
    (image,) = left.images
    np.testing.assert_allclose(image.get_array(), np.outer(uneven(BY_OUTPUT), uneven(BY_INPUT)))
    assert (left.get_title(), middle.get_title()) == ("(a) unnormalized, layer 45", "(b) BN, layer 45")
    lines = {line.get_label(): line.get_ydata() for line in right.lines}
    np.testing.assert_allclose(lines["BN"].sum(), 1, rtol=1e-3)


def test_the_figure_is_drawn_where_gradients_are_not_finite():
    broken = table()
    broken.loc[broken["norm"] == "none", "value"] = np.nan
    left, *_ = EXPERIMENT.figure(broken).axes
    assert left.images[0].get_array().mask.all()
