import pytest
from chai_tables import join
from noise_tables import step_rows

from normscope.papers.chai2020.pmd import EXPERIMENT, closest_at_first_step, exact_at_first_step, stays_close
from normscope.protocol import empty_table

FIRST = {"baseline": (0.5, 0.1), "batch": (0.4, 0.1), "prior": (0.9, 1.1)}
"""Cosine and length at step 0."""

LATER = {1: (0.85, 0.05, 0.01), 2: (0.8, 0.1, 0.1), 9: (0.3, 0.3, 0.1)}
"""BN_Prior's cosine, γ's and β's distance by step."""


def steps(first=None, later=None, rates=(0.1, 1.0), seeds=3):
    first, later = FIRST | (first or {}), LATER | (later or {})
    tables = []
    for rate in rates:
        for seed in range(seeds):
            for name, (cosine, length) in first.items():
                at_start = {"cosine_mean": cosine, "cosine_sum": cosine / 2, "length": length}
                if name == "prior":
                    at_start |= {"cosine_raw": 0.2, "gain_distance": 0.0, "bias_distance": 0.0}
                tables.append(step_rows(name, rate, seed, {0: at_start}))
            tables += [
                step_rows(
                    "prior", rate, seed, {step: {"cosine_mean": c, "gain_distance": g, "bias_distance": b}}
                )
                for step, (c, g, b) in later.items()
            ]
    return join(*tables)


def test_the_papers_argument_bears_every_claim_out():
    assert all(rule(steps()).holds is True for rule in EXPERIMENT.rules)
    assert all(rule(steps()).seeds == 3 for rule in EXPERIMENT.rules)


@pytest.mark.parametrize("first", [{"baseline": (0.91, 1.0)}, {"batch": (0.91, 1.0)}, {"prior": (0.49, 1.0)}])
def test_prior_must_be_closer_than_both_others(first):
    assert closest_at_first_step(steps(first)).holds is False


def test_the_first_steps_numbers_are_medians_of_seeds_counted_once():
    table = join(
        *(steps({"prior": (cosine, 1.0)}).query(f"seed == {s}") for s, cosine in enumerate((0.6, 0.7, 1)))
    )
    claim = closest_at_first_step(table)
    assert claim.measured["cosine BN_Prior"] == pytest.approx(0.7)
    assert claim.measured["cosine BN_Prior, power as sum"] == pytest.approx(0.35)
    assert claim.measured["cosine BN_Prior, NLMS on the input before the norm"] == pytest.approx(0.2)
    assert claim.seeds == 3


@pytest.mark.parametrize("prior", [(0.79, 1.0), (0.9, 1.26), (0.9, 0.79)])
def test_an_exact_step_needs_nlmss_direction_and_length(prior):
    assert exact_at_first_step(steps({"prior": prior})).holds is False


def test_an_exact_step_holds_up_to_its_bounds():
    assert exact_at_first_step(steps({"prior": (0.81, 1.24)})).holds is True
    assert exact_at_first_step(steps({"prior": (0.81, 0.81)})).holds is True


def test_only_steps_near_the_start_values_must_stay_close():
    claim = stays_close(steps())
    assert claim.measured["kept at 0.1"] == pytest.approx((0.85 + 0.8) / 2 / 0.9)
    assert claim.measured["near steps at 0.1"] == 2
    assert claim.measured["kept after at 1"] == pytest.approx(0.3 / 0.9)


@pytest.mark.parametrize("later", [{1: (0.3, 0.05, 0.01)}, {9: (0.0, 0.1, 0.1)}])
def test_a_near_step_that_is_not_close_denies_it(later):
    assert stays_close(steps(later=later)).holds is False


def test_it_must_stay_close_at_both_rates():
    table = join(steps(rates=(0.1,)), steps(later={1: (0.1, 0.05, 0.01)}, rates=(1.0,)))
    assert stays_close(table).holds is False


def test_without_near_steps_it_is_not_judged():
    far = dict.fromkeys((1, 2, 9), (0.9, 0.5, 0.0))
    claim = stays_close(steps(later=far))
    assert claim.holds is None
    assert "at rate 0.1 no step after the first" in claim.reason


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_without_the_rows_it_needs_a_claim_is_not_judged(rule):
    assert rule(empty_table()).holds is None
    table = steps()
    assert rule(table[table["arrangement"] != "prior"]).holds is None
