"""Fig. 6's claims on made-up moments by layer."""

import math

import pytest
from chai_tables import join
from line_tables import line_rows, search_rows

from normscope.papers.bjorck2018.cells.landscapes import moments_along_gradient
from normscope.papers.bjorck2018.fig6 import EXPERIMENT, means, variances
from normscope.protocol import Scale, Verdict

POINTS = (0, 9e-5, 3e-4, 9e-4)


def moment(lower, upper, at_end=3):
    """1 at the start; at the end so much in the lower third (layers 1 to 36) and in the upper (74 to 109)."""

    def value(place, number):
        grown = lower if number <= 36 else upper if number >= 74 else 1e9
        return grown if place == at_end else 1.0

    return value


def table(variance=(2.0, 1e4), mean=(2.0, 1e2), factors=(1.0, 1.002, 0.998)):
    tables = []
    for seed, factor in enumerate(factors):
        moments = {
            "variance": moment(variance[0], variance[1] * factor),
            "mean": moment(mean[0], mean[1] * factor),
        }
        line = line_rows(moments_along_gradient, [500, 300, 100, 1e9], POINTS, seed, moments=moments)
        tables += [search_rows({0.001: 2, 3e-4: 2, 1e-4: None}, seed), line]
    return join(*tables)


def test_both_claims_hold_on_numbers_like_the_papers():
    claims = EXPERIMENT.claims(table())
    assert [(claim.verdict, claim.seeds) for claim in claims] == [(Verdict.HOLDS, 3)] * 2
    assert claims[0].measured["growth of the variance, lower third"] == 2
    assert claims[0].measured["growth of the variance, upper third"] == 1e4
    assert claims[1].measured["growth of the mean, upper / lower third"] == pytest.approx(50, rel=1e-2)


@pytest.mark.parametrize(
    ("upper", "factors", "verdict"),
    [
        (20.5, (1.0, 1.002, 0.998), "holds"),
        (19.5, (1.0, 1.002, 0.998), "does not hold"),
        (20.0, (1.0, 1.5, 0.7), "undecided"),
        (math.inf, (1.0, 1.0, 1.0), "holds"),
        (math.nan, (1.0, 1.0, 1.0), "holds"),
    ],
)
def test_variances_must_grow_ten_times_more_in_the_upper_third(upper, factors, verdict):
    assert variances(table(variance=(2.0, upper), factors=factors)).verdict == verdict


@pytest.mark.parametrize(("upper", "verdict"), [(6.1, "holds"), (5.9, "does not hold")])
def test_means_must_grow_three_times_more_in_the_upper_third(upper, verdict):
    assert means(table(mean=(2.0, upper))).verdict == verdict


def test_growth_all_over_the_network_is_no_growth_of_the_upper_layers():
    for rule, measure in ((variances, "variance"), (means, "mean")):
        assert rule(table(**{measure: (1e4, 1e4)})).verdict is Verdict.FAILS


def test_the_line_is_three_times_the_update_at_the_lowest_diverging_rate():
    found = search_rows({0.003: 2, 0.001: 3, 3e-4: None, 1e-4: None})
    *_, line = [
        cell.config
        for cell in EXPERIMENT.cells_of(EXPERIMENT.profile(Scale.QUICK), found)
        if cell.config.seed == 0
    ]
    assert (line.rate, line.at_step) == (0.001, 2)
    assert line.alphas[-1] == pytest.approx(0.003)


def test_the_figure_has_a_line_a_point_by_the_papers_numbers_of_layers():
    panels = EXPERIMENT.figure(table()).axes
    for axes, measure in zip(panels, ("mean", "variance"), strict=True):
        lines = [line for line in axes.lines if line.get_label().endswith("α")]
        assert [line.get_label() for line in lines] == ["0 α", "0.3 α", "1 α", "3 α"]
        assert lines[-1].get_xdata().tolist() == list(range(1, 110))
        assert lines[-1].get_ydata()[0] == 2.0
        assert measure in axes.get_title()
