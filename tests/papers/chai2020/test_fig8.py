import math

import pytest
from chai_tables import join, spectrum_rows, training_rows, variants

from normscope.papers.chai2020.fig8 import EXPERIMENT, largest_eigenvalue, stability
from normscope.protocol import empty_table


def sweep(broken=None, largest=None, rates=(0.01, 4.0, 10.0)):
    fine = {"none": 0.05, "batch": 0.04, "amplify": 0.04, "suppress": 0.05}
    errors = {"none": 0.9, "batch": 0.03, "amplify": 0.8, "suppress": 0.04} | (broken or {})
    eigenvalues = {"none": 500.0, "batch": 50.0, "amplify": None, "suppress": 40.0} | (largest or {})
    tables = []
    for rate in rates:
        at_rate = fine if rate < 4 else errors
        tables.append(training_rows({norm: [0.5, error] for norm, error in at_rate.items()}, rate))
        tables.append(spectrum_rows("lambda_max", eigenvalues, rate))
    return join(*tables)


def test_the_papers_numbers_bear_every_claim_out():
    assert all(rule(sweep()).holds is True for rule in EXPERIMENT.rules)


def test_the_errors_are_those_of_the_smallest_rate_that_breaks_both():
    table = join(sweep(rates=(4.0, 10.0)), sweep({"amplify": 0.2, "none": 0.7}, rates=(2.0, 3.0)))
    assert stability(table).measured["rate"] == 4.0
    assert largest_eigenvalue(table).measured["rate"] == 4.0


@pytest.mark.parametrize("broken", [{"batch": 0.11}, {"suppress": 0.10}])
def test_stability_fails_when_a_stable_variant_fails_too(broken):
    assert stability(sweep(broken)).holds is False


def test_stability_fails_when_baseline_and_amplify_never_both_fail():
    claim = stability(sweep({"none": 0.2}))
    assert claim.holds is False
    assert "up to rate 10" in claim.reason


def test_stability_is_not_judged_when_the_grid_ends_too_early():
    claim = stability(sweep(rates=(0.01, 2.0)))
    assert claim.holds is None
    assert "up to rate 2" in claim.reason


@pytest.mark.parametrize("largest", [{"none": 39.0}, {"amplify": 40.0}])
def test_the_eigenvalue_claim_fails_when_suppress_is_not_the_smaller(largest):
    assert largest_eigenvalue(sweep(largest=largest)).holds is False


def test_a_diverged_run_counts_as_an_infinite_eigenvalue():
    assert largest_eigenvalue(sweep()).measured["λ_max BN_Amplify"] == math.inf
    assert largest_eigenvalue(sweep(largest={"suppress": None})).holds is False


def test_without_a_breaking_rate_the_eigenvalues_are_not_judged():
    assert largest_eigenvalue(sweep({"none": 0.2})).holds is None


def test_the_shared_table_of_a_diverged_run_counts_as_chance():
    diverged = training_rows(variants([], [0.5, 0.03], [0.5], [0.5, 0.04]), 4.0)
    claim = stability(diverged)
    assert (claim.measured["error Baseline"], claim.measured["error BN_Amplify"]) == (0.9, 0.9)
    assert claim.holds is True


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_without_the_rows_it_needs_a_claim_is_not_judged(rule):
    assert rule(empty_table()).holds is None
    table = sweep()
    assert rule(table[table["norm"] != "suppress"]).holds is None
