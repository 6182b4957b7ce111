"""Fig. 3's claims on made-up moments by depth."""

import math

import numpy as np
import pandas as pd
import pytest
from output_tables import moment_rows

from normscope.papers.bjorck2018.fig3 import EXPERIMENT, exponential, large_at_the_top, stays_with_bn
from normscope.papers.bjorck2018.layers import is_second
from normscope.papers.bjorck2018.readings.moments import fit, slope
from normscope.protocol import Verdict, empty_table

RATE = math.log(1e6) / 106
"""The unnormalized variance grows 10⁶× from the first to the last of the blocks' first convolutions."""


def alternating(first, second):
    """The value of a layer by its number; the stem's is like nothing else."""
    return lambda number: 123.0 if number == 1 else (second if is_second(number) else first)(number)


def grown(start, rate):
    return lambda number: start * math.exp(rate * number)


def table(none=None, batch=None, mean_none=None, mean_batch=None, **options):
    linear = lambda number: 0.3 * (1 + number / 2)  # noqa: E731
    flat = lambda number: 0.35  # noqa: E731
    variance = {
        "none": none or alternating(grown(0.05, RATE), grown(0.01, RATE)),
        "batch": batch or alternating(linear, flat),
    }
    mean_abs = {
        "none": mean_none or alternating(grown(0.1, RATE / 2), grown(0.05, RATE / 2)),
        "batch": mean_batch or alternating(linear, flat),
    }
    return moment_rows(mean_abs, variance, **options)


def test_every_claim_holds_on_the_papers_numbers():
    claims = EXPERIMENT.claims(table())
    assert [(claim.verdict, claim.seeds) for claim in claims] == [(Verdict.HOLDS, 3)] * 3
    slopes = [
        value for name, value in claims[0].measured.items() if "variance" in name and "unnormalized" in name
    ]
    assert slopes == pytest.approx([RATE] * 2, rel=1e-6)


@pytest.mark.parametrize("moment", ["none", "mean_none"])
@pytest.mark.parametrize("position", ["first", "second"])
def test_growth_that_is_not_exponential_at_one_position_is_none(moment, position):
    """A jump at the top and nothing before it has an R² far below 0.9."""
    jump = lambda number: 1e6 if number > 100 else 0.1  # noqa: E731
    straight = grown(0.05, RATE)
    moments = alternating(jump, straight) if position == "first" else alternating(straight, jump)
    assert exponential(table(**{moment: moments})).verdict is Verdict.FAILS


@pytest.mark.parametrize(("top", "verdict"), [(101, "holds"), (99, "does not hold")])
def test_the_variance_at_the_top_must_be_a_hundred(top, verdict):
    second = grown(top / math.exp(RATE * 109), RATE)
    assert large_at_the_top(table(alternating(grown(0.05, RATE), second))).verdict == verdict


@pytest.mark.parametrize(("growth", "verdict"), [(1.01e4, "holds"), (0.99e4, "does not hold")])
def test_the_unnormalized_variance_must_grow_ten_thousand_times_along_the_first_convolutions(growth, verdict):
    first = grown(1.0, math.log(growth) / 106)
    assert large_at_the_top(table(alternating(first, grown(0.01, RATE)))).verdict == verdict


@pytest.mark.parametrize(("growth", "verdict"), [(99, "holds"), (101, "does not hold")])
def test_bns_variance_may_grow_a_hundred_times_along_the_first_convolutions(growth, verdict):
    first = lambda number: 1 + (growth - 1) * (number - 2) / 106  # noqa: E731
    assert stays_with_bn(table(batch=alternating(first, lambda number: 0.3))).verdict == verdict


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("moment", ["batch", "mean_batch"])
@pytest.mark.parametrize(("share", "verdict"), [(1 / 20.5, "holds"), (1 / 19.5, "does not hold")])
def test_bns_slope_must_be_twenty_times_smaller_in_size(moment, share, sign, verdict):
    rate = RATE if moment == "batch" else RATE / 2
    moments = alternating(lambda number: 1.0, grown(0.3, sign * share * rate))
    assert stays_with_bn(table(**{moment: moments})).verdict == verdict


def test_seeds_scattered_about_a_bound_do_not_decide():
    second = grown(100 / math.exp(RATE * 109), RATE)
    scattered = table(alternating(grown(0.05, RATE), second), scatter=0.3)
    assert large_at_the_top(scattered).verdict is Verdict.UNDECIDED


def test_moments_that_are_not_finite_or_all_equal_have_no_fit():
    assert np.isnan(fit(pd.Series([1.0, math.inf, 3.0], index=[2, 4, 6])))
    assert np.isnan(slope(pd.Series([1.0, 0.0, 3.0], index=[2, 4, 6])))
    assert slope(pd.Series([1.0, math.e, math.e**2], index=[2, 4, 6])) == pytest.approx(0.5)
    assert np.isnan(fit(pd.Series([2.0, 2.0, 2.0], index=[2, 4, 6])))
    assert fit(pd.Series([1.0, math.e, 1.0], index=[2, 4, 6])) == pytest.approx(0)


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_a_claim_is_not_judged_without_rows_at_another_depth_or_with_one_seed(rule):
    assert rule(empty_table()).verdict is Verdict.NOT_JUDGED
    shallow = rule(table(depth=20))
    assert (shallow.verdict, "this one has 20" in shallow.reason) == (Verdict.NOT_JUDGED, True)
    single = rule(table(seeds=1))
    assert (single.verdict, "one seed gives no interval" in single.reason) == (Verdict.NOT_JUDGED, True)


def test_the_figure_shows_each_network_at_each_position():
    left, right = EXPERIMENT.figure(table()).axes
    for axes in (left, right):
        assert len([line for line in axes.get_lines() if line.get_label()[0] != "_"]) == 4
        assert axes.get_yscale() == "log"


def test_one_layer_has_no_slope_and_no_fit():
    one = pd.Series([2.0], index=[3])
    assert math.isnan(slope(one))
    assert math.isnan(fit(one))
