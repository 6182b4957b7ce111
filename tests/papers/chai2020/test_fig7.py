"""Fig. 7's claims on made-up errors and gates."""

import math

import pytest
from chai_tables import gate_rows, join, over_seeds, training_rows, variants, without

from normscope.papers.chai2020.cells.gates import gate_activity
from normscope.papers.chai2020.fig7 import (
    EXPERIMENT,
    amplify_as_fast,
    baseline_catches_up,
    speed_order,
    suppress_catches_up,
)
from normscope.papers.chai2020.profiles import CURVE_RATES
from normscope.protocol import Scale, Verdict, empty_table

SLOW = variants(0.6, 0.10, 0.10, 0.3)
"""Errors after one epoch at rate 0.01."""

FAST = variants(0.03, 0.03, 0.9, 0.03)
"""Errors after the last epoch at rate 0.5."""


def curves(first=None, last=None, end=0.01, halfway=0.5, epochs=2, seeds=3, gates=(0.1,), **options):
    """Errors as the paper has them but for ``first`` and ``last``; at the low rate all of them end at ``end``."""
    slow, fast = SLOW | (first or {}), FAST | (last or {})
    ends = end if isinstance(end, dict) else dict.fromkeys(slow, end)
    options |= {"seeds": seeds, "epochs": epochs}
    middle = [halfway] * (epochs - 1)
    return join(
        over_seeds(training_rows, {k: [v, *middle[1:], ends[k]] for k, v in slow.items()}, rate=0.01, **options),
        over_seeds(training_rows, {k: [*middle, v] for k, v in fast.items()}, rate=0.5, **options),
        gate_rows(gates, seeds=seeds),
    )  # fmt: skip


def test_every_claim_holds_on_the_papers_numbers():
    claims = EXPERIMENT.claims(curves())
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 4
    assert [claim.seeds for claim in claims] == [3] * 4


def test_on_data_so_easy_that_nobody_errs_no_claim_is_judged_and_none_fails():
    zero = dict.fromkeys(SLOW, 0.0)
    claims = EXPERIMENT.claims(curves(zero, zero, end=0.0, halfway=0.0))
    assert [claim.verdict for claim in claims] == [Verdict.NOT_JUDGED] * 4
    assert all("both runs of every seed have 0" in claim.reason for claim in claims)


def test_errors_that_are_null_are_not_judged():
    table = curves()
    unknown = table.assign(value=table["value"].where(table["measure"] != "validation_error"))
    assert [claim.verdict for claim in EXPERIMENT.claims(unknown)] == [Verdict.NOT_JUDGED] * 4


def test_where_batchnorm_alone_makes_no_error_the_medians_ratio_is_infinite():
    claim = baseline_catches_up(curves({}, {"batch": 0.0}, end={**SLOW, "batch": 0.0}))
    assert claim.verdict is Verdict.FAILS
    assert "∞ after 2 epochs" in claim.reason


@pytest.mark.parametrize(
    ("rule", "first", "last"),
    [
        (amplify_as_fast, {"amplify": 0.126}, {}),
        (amplify_as_fast, {"amplify": 0.079}, {}),
        (speed_order, {"suppress": 0.09}, {}),
        (speed_order, {"none": 0.29}, {}),
        (speed_order, {"amplify": 0.31}, {}),
        (speed_order, {"batch": 0.31}, {}),
        (suppress_catches_up, {}, {"suppress": 0.038}),
        (baseline_catches_up, {}, {"none": 0.038}),
    ],
)
def test_a_claim_does_not_hold_on_numbers_beyond_its_bound(rule, first, last):
    assert rule(curves(first, last)).verdict is Verdict.FAILS


@pytest.mark.parametrize(
    ("rule", "first", "last"),
    [
        (amplify_as_fast, {"amplify": 0.124}, {}),
        (amplify_as_fast, {"amplify": 0.081}, {}),
        (speed_order, {"suppress": 0.299, "none": 0.301, "batch": 0.297, "amplify": 0.297}, {}),
        (suppress_catches_up, {}, {"suppress": 0.037}),
        (baseline_catches_up, {}, {"none": 0.001}),
    ],
)
def test_a_claim_holds_up_to_its_bound(rule, first, last):
    assert rule(curves(first, last)).verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    ("rule", "first", "last"),
    [
        (amplify_as_fast, {"amplify": 0.124}, {}),
        (amplify_as_fast, {"amplify": 0.126}, {}),
        (speed_order, {"none": 0.31}, {}),
        (speed_order, {"batch": 0.31}, {}),
        (suppress_catches_up, {}, {"suppress": 0.037}),
        (baseline_catches_up, {}, {"none": 0.038}),
    ],
)
def test_a_claim_is_undecided_on_seeds_scattered_about_its_bound(rule, first, last):
    claim = rule(curves(first, last, scatter=0.05))
    assert claim.verdict is Verdict.UNDECIDED
    assert "over 3 seeds between" in claim.reason


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_a_claim_is_not_judged_without_the_rows_that_it_needs_or_with_one_seed(rule):
    assert rule(empty_table()).verdict is Verdict.NOT_JUDGED
    lacking = rule(without(curves(), norm="batch"))
    assert (lacking.verdict, "BatchNorm" in lacking.reason) == (Verdict.NOT_JUDGED, True)
    rate = 0.5 if rule.id.endswith("catches-up") else 0.01
    rates = rule(without(curves(), rate=rate))
    assert (rates.verdict, str(rate) in rates.reason) == (Verdict.NOT_JUDGED, True)
    single = rule(curves(seeds=1))
    assert (single.verdict, "one seed gives no interval" in single.reason) == (Verdict.NOT_JUDGED, True)


def test_a_diverged_run_counts_as_chance():
    table = join(
        *(
            training_rows(variants([], [0.1, 0.1], [0.1, 0.1], [0.3, 0.1]), 0.01, seed, epochs=2)
            for seed in range(3)
        ),
        *(training_rows(variants([0.02], *[[0.02, 0.02]] * 3), 0.5, seed, epochs=2) for seed in range(3)),
        gate_rows((0.1,)),
    )
    assert speed_order(table).measured["error Baseline"] == 0.9
    assert baseline_catches_up(table).measured["error Baseline"] == 0.9
    assert baseline_catches_up(table).verdict is Verdict.FAILS


def test_the_numbers_are_medians_over_seeds_and_the_ratio_is_taken_within_each():
    errors = ((0.2, 0.1), (0.5, 0.1), (0.9, 0.3))
    table = join(
        *(
            training_rows(variants([none, 0.1], [0.05, 0.1], [0.05, 0.1], [suppress, 0.1]), 0.01, seed)
            for seed, (none, suppress) in enumerate(errors)
        ),
        gate_rows((0.1,)),
    )
    measured = speed_order(table).measured
    assert (measured["error Baseline"], measured["error BN_Suppress"]) == (0.5, 0.1)
    assert measured["error BN_Suppress / Baseline"] == pytest.approx((1 / 2 * 1 / 5 * 1 / 3) ** (1 / 3))


@pytest.mark.parametrize(("rule", "norm"), [(suppress_catches_up, "suppress"), (baseline_catches_up, "none")])
def test_the_log_gap_is_that_of_the_last_errors_at_the_higher_rate_over_that_at_the_lower(rule, norm):
    table = curves(last={norm: 0.033}, end=variants(0.3, 0.1, 0.1, 0.3), scatter=0.0)
    gap = rule(table).measured["log gap at 0.5 / at 0.01"]
    assert gap == pytest.approx(math.log(1.1) / math.log(3))


def test_without_a_gap_at_the_lower_rate_there_is_no_ratio_of_gaps():
    claim = suppress_catches_up(curves(scatter=0.0))
    assert "log gap at 0.5 / at 0.01" not in claim.measured
    assert claim.verdict is Verdict.HOLDS


@pytest.mark.parametrize("rule", [suppress_catches_up, baseline_catches_up])
def test_none_catches_up_with_a_batchnorm_that_fails_and_none_needs_the_lower_rate(rule):
    failed = rule(curves(last={"batch": 0.9, "suppress": 0.9, "none": 0.9}))
    assert (failed.verdict, "BatchNorm itself fails" in failed.reason) == (Verdict.NOT_JUDGED, True)
    assert rule(without(curves(), rate=0.01)).verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    ("epochs", "words"), [(2, "after 1 and 1.2 after 2"), (7, "after 3 and 1.2 after 7")]
)
def test_the_reason_compares_the_end_with_half_of_the_epochs_of_this_run(epochs, words):
    claim = suppress_catches_up(curves(last={"suppress": 0.036}, epochs=epochs, scatter=0.0))
    assert f"1 {words} epochs" in claim.reason


def test_amplify_is_as_fast_by_identity_where_no_channel_passes_in_any_recorded_step():
    claim = amplify_as_fast(curves(gates=(0.0,) * 9))
    assert claim.verdict is Verdict.HOLDS
    assert claim.measured["share of channels above the threshold, BN_Amplify"] == 0
    assert claim.reason.startswith("holds by identity: in 9 steps of 3 seeds no channel")


def test_a_channel_that_passes_late_in_the_epoch_makes_amplifys_speed_a_finding():
    claim = amplify_as_fast(curves(gates=(0.0,) * 9 + (0.5,)))
    assert claim.measured["share of channels above the threshold, BN_Amplify"] == pytest.approx(0.05)
    assert "identity" not in claim.reason


def test_an_order_that_identity_denies_is_not_said_to_hold_by_identity():
    claim = speed_order(curves(first={"suppress": 0.6}, gates=(0.0,) * 9, scatter=0.0))
    assert claim.verdict is Verdict.FAILS
    assert claim.measured["share of channels above the threshold, BN_Suppress"] == 0
    assert "holds by identity" not in claim.reason
    assert "BN_Suppress is Baseline" in claim.reason


def test_the_reason_of_an_order_asks_for_less_than_equal_numbers():
    claim = speed_order(curves(first={"suppress": 0.6}, scatter=0.0))
    assert "error BN_Suppress / Baseline is 1," in claim.reason
    assert "must be below 1" in claim.reason


def test_there_is_a_run_for_every_variant_and_rate_and_a_gate_for_each_gated_variant_over_one_epoch():
    profile = EXPERIMENT.profile(Scale.QUICK)
    cells = EXPERIMENT.cells(Scale.QUICK, empty_table())
    gates = [cell.config for cell in cells if cell.name == gate_activity.name]
    assert {(one.norm, one.rate, one.seed) for one in gates} == {
        (norm, 0.01, seed) for norm in ("amplify", "suppress") for seed in range(profile.seeds)
    }
    assert {one.steps for one in gates} == {profile.images // 64}
    assert len(cells) - len(gates) == 4 * len(CURVE_RATES) * profile.seeds


def test_the_figure_is_drawn_without_the_first_panels_runs():
    table = join(
        *(training_rows(variants([0.5], [0.4], [0.4], [0.5]), rate, epochs=1) for rate in (0.1, 0.5))
    )
    figure = EXPERIMENT.figure(table)
    figure.draw_without_rendering()
    assert figure.legends[0].get_texts()[0].get_text() == "Baseline"
