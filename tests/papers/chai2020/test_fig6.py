import pytest
from chai_tables import join, spectrum_rows, variants

from normscope.papers.chai2020.fig6 import EXPERIMENT, amplified, amplify_equals_batchnorm, suppress_stays
from normscope.protocol import empty_table


def smallest(rate=0.01, **values):
    return spectrum_rows(
        "lambda_min", variants(**{"none": 1.0, "batch": 4.0, "amplify": 4.0, "suppress": 1.0} | values), rate
    )


def test_the_papers_numbers_bear_every_claim_out():
    assert all(rule(smallest()).holds is True for rule in EXPERIMENT.rules)


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        (amplify_equals_batchnorm, {"amplify": 4.81}),
        (amplify_equals_batchnorm, {"amplify": 3.19}),
        (amplified, {"batch": 1.99}),
        (amplified, {"amplify": 1.99}),
        (suppress_stays, {"suppress": 1.21}),
        (suppress_stays, {"suppress": 0.79}),
    ],
)
def test_a_claim_fails_on_numbers_that_deny_it(rule, values):
    assert rule(smallest(**values)).holds is False


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        (amplify_equals_batchnorm, {"amplify": 4.79}),
        (amplified, {"batch": 2.0, "amplify": 2.01}),
        (suppress_stays, {"suppress": 1.19}),
    ],
)
def test_a_claim_holds_up_to_its_bound(rule, values):
    assert rule(smallest(**values)).holds is True


def test_the_numbers_are_medians_over_seeds_at_the_lowest_rate_after_five_steps():
    runs = [
        spectrum_rows("lambda_min", variants(1.0, batch, 4.0, 1.0), 0.01, seed)
        for seed, batch in enumerate((1.0, 5.0, 400.0))
    ]
    claim = amplified(join(*runs, smallest(rate=1.0, batch=1.0)))
    assert claim.measured["BatchNorm / Baseline"] == pytest.approx(5.0)
    assert claim.seeds == 3


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_without_the_rows_it_needs_a_claim_is_not_judged(rule):
    assert rule(empty_table()).holds is None
    assert "0.01" in rule(smallest(rate=0.1)).reason
    lacking = smallest()
    assert "BN_Amplify" in rule(lacking[lacking["norm"] != "amplify"]).reason
