import pytest
from chai_tables import join, training_rows, variants

from normscope.papers.chai2020.fig7 import (
    EXPERIMENT,
    amplify_as_fast,
    baseline_catches_up,
    speed_order,
    suppress_catches_up,
)
from normscope.protocol import empty_table


def curves(first=None, last=None):
    slow = {"none": 0.6, "batch": 0.10, "amplify": 0.10, "suppress": 0.3} | (first or {})
    fast = {"none": 0.03, "batch": 0.03, "amplify": 0.9, "suppress": 0.03} | (last or {})
    return join(
        training_rows({norm: [error, 0.01] for norm, error in slow.items()}, 0.01),
        training_rows({norm: [0.5, error] for norm, error in fast.items()}, 0.5),
    )


def test_the_papers_numbers_bear_every_claim_out():
    assert all(rule(curves()).holds is True for rule in EXPERIMENT.rules)


@pytest.mark.parametrize(
    ("rule", "first", "last"),
    [
        (amplify_as_fast, {"amplify": 0.126}, {}),
        (amplify_as_fast, {"amplify": 0.079}, {}),
        (speed_order, {"suppress": 0.09}, {}),
        (speed_order, {"none": 0.29}, {}),
        (speed_order, {"amplify": 0.3}, {}),
        (speed_order, {"batch": 0.31}, {}),
        (suppress_catches_up, {}, {"suppress": 0.038}),
        (baseline_catches_up, {}, {"none": 0.038}),
    ],
)
def test_a_claim_fails_on_numbers_that_deny_it(rule, first, last):
    assert rule(curves(first, last)).holds is False


@pytest.mark.parametrize(
    ("rule", "first", "last"),
    [
        (amplify_as_fast, {"amplify": 0.124}, {}),
        (suppress_catches_up, {}, {"suppress": 0.037}),
        (baseline_catches_up, {}, {"none": 0.001}),
    ],
)
def test_a_claim_holds_up_to_its_bound(rule, first, last):
    assert rule(curves(first, last)).holds is True


def test_a_diverged_run_counts_as_chance():
    table = join(
        training_rows(variants([], [0.1, 0.1], [0.1, 0.1], [0.3, 0.1]), 0.01),
        training_rows(variants([0.02], [0.02, 0.02], [0.02, 0.02], [0.02, 0.02]), 0.5),
    )
    assert speed_order(table).measured["error Baseline"] == 0.9
    assert baseline_catches_up(table).measured["error Baseline"] == 0.9
    assert baseline_catches_up(table).holds is False


def test_the_numbers_are_medians_over_seeds():
    table = join(
        *(
            training_rows(variants([none, 0.1], [0.1, 0.1], [0.1, 0.1], [0.3, 0.1]), 0.01, seed)
            for seed, none in enumerate((0.1, 0.5, 0.9))
        )
    )
    claim = speed_order(table)
    assert (claim.measured["error Baseline"], claim.seeds, claim.holds) == (0.5, 3, True)


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_without_the_rows_it_needs_a_claim_is_not_judged(rule):
    assert rule(empty_table()).holds is None
    table = curves()
    assert "BatchNorm" in rule(table[table["norm"] != "batch"]).reason


def test_the_figure_is_drawn_without_the_first_panels_runs():
    table = join(
        *(training_rows(variants([0.5], [0.4], [0.4], [0.5]), rate, epochs=1) for rate in (0.1, 0.5))
    )
    figure = EXPERIMENT.figure(table)
    figure.canvas.draw()
    assert figure.legends[0].get_texts()[0].get_text() == "Baseline"
