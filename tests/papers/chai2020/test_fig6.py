"""Fig. 6's claims on made-up eigenvalues and gates."""

import pytest
from chai_tables import gate_rows, join, over_seeds, spectrum_rows, variants, without

from normscope.papers.chai2020.cells.gates import gate_activity
from normscope.papers.chai2020.cells.lenet import VARIANTS
from normscope.papers.chai2020.fig6 import EXPERIMENT, amplified, amplify_equals_batchnorm, suppress_stays
from normscope.protocol import Scale, Verdict, empty_table

EQUALITIES = {"amplify": amplify_equals_batchnorm, "suppress": suppress_stays}
NEVER = (0.0,) * 7


def smallest(rate=0.01, seeds=3, scatter=1e-4, **values):
    """Eigenvalues as the paper has them, but for those given."""
    papers = {"none": 1.0, "batch": 4.0, "amplify": 4.0, "suppress": 1.0}
    return over_seeds(
        spectrum_rows, variants(**papers | values), seeds=seeds, scatter=scatter, rate=rate, measure="lambda_min"
    )  # fmt: skip


def table_of(gates=NEVER, seeds=3, **options):
    return join(smallest(seeds=seeds, **options), gate_rows(gates, seeds=seeds))


def test_every_claim_holds_on_the_papers_numbers():
    claims = EXPERIMENT.claims(table_of())
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 3
    assert [claim.seeds for claim in claims] == [3] * 3


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
def test_a_claim_does_not_hold_on_numbers_beyond_its_bound(rule, values):
    assert rule(table_of(**values)).verdict is Verdict.FAILS


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        (amplify_equals_batchnorm, {"amplify": 4.79}),
        (amplify_equals_batchnorm, {"amplify": 3.21}),
        (amplified, {"batch": 2.01, "amplify": 2.01}),
        (suppress_stays, {"suppress": 1.19}),
        (suppress_stays, {"suppress": 0.81}),
    ],
)
def test_a_claim_holds_up_to_its_bound(rule, values):
    assert rule(table_of(**values)).verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        (amplify_equals_batchnorm, {"amplify": 4.79}),
        (amplify_equals_batchnorm, {"amplify": 4.81}),
        (amplified, {"batch": 2.01}),
        (amplified, {"amplify": 1.99}),
        (suppress_stays, {"suppress": 1.19}),
        (suppress_stays, {"suppress": 0.79}),
    ],
)
def test_a_claim_is_undecided_on_seeds_scattered_about_its_bound(rule, values):
    claim = rule(table_of(scatter=0.1, **values))
    assert claim.verdict is Verdict.UNDECIDED
    assert "over 3 seeds between" in claim.reason


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_a_claim_is_not_judged_without_the_rows_that_it_needs_or_with_one_seed(rule):
    assert rule(empty_table()).verdict is Verdict.NOT_JUDGED
    other_rate = rule(table_of(rate=0.1))
    assert (other_rate.verdict, "0.01" in other_rate.reason) == (Verdict.NOT_JUDGED, True)
    lacking = rule(without(table_of(), norm="amplify"))
    assert (lacking.verdict, "BN_Amplify" in lacking.reason) == (Verdict.NOT_JUDGED, True)
    single = rule(table_of(seeds=1))
    assert (single.verdict, "one seed gives no interval" in single.reason) == (Verdict.NOT_JUDGED, True)


@pytest.mark.parametrize("norm", EQUALITIES)
def test_an_equality_is_judged_in_a_folder_from_before_gates_were_counted_and_calls_nothing_an_identity(norm):
    claim = EQUALITIES[norm](without(table_of(), function=gate_activity.name, norm=norm))
    assert claim.verdict is Verdict.HOLDS
    assert not any(name.startswith("share") for name in claim.measured)
    assert "identity" not in claim.reason


def test_the_numbers_are_medians_over_seeds_after_five_steps_at_the_lowest_rate():
    values = [variants(1.0, batch, 4.0, 1.0) for batch in (3.0, 5.0, 9.0)]
    runs = [spectrum_rows(one, 0.01, "lambda_min", seed) for seed, one in enumerate(values)]
    measured = amplified(join(*runs, smallest(rate=1.0, batch=0.1))).measured
    assert measured["λ_min BatchNorm"] == 5.0
    assert measured["λ_min BatchNorm / Baseline"] == pytest.approx((3 * 5 * 9) ** (1 / 3))


def test_a_variant_of_which_every_seed_diverged_is_no_equal():
    claim = suppress_stays(table_of(suppress=None))
    assert claim.verdict is Verdict.FAILS
    assert claim.measured["λ_min BN_Suppress / Baseline"] == float("inf")


@pytest.mark.parametrize(("norm", "other"), [("amplify", "batch"), ("suppress", "none")])
class TestTheGate:
    def test_an_equality_holds_by_identity_where_no_channel_passes_in_the_five_steps(self, norm, other):
        claim = EQUALITIES[norm](table_of(gates=(0.0,) * 5 + (0.9,) * 3))
        assert claim.verdict is Verdict.HOLDS
        assert claim.measured[f"share of channels above the threshold, {VARIANTS[norm]}"] == 0
        assert claim.reason.startswith(
            "holds by identity: in 5 steps of 3 seeds no channel's power was above the threshold, "
            f"so that {VARIANTS[norm]} is {VARIANTS[other]}"
        )

    def test_a_single_channel_that_passes_makes_the_equality_a_finding(self, norm, other):
        claim = EQUALITIES[norm](table_of(gates=(0.0, 0.0, 0.0, 0.0, 0.5)))
        assert claim.verdict is Verdict.HOLDS
        assert claim.measured[f"share of channels above the threshold, {VARIANTS[norm]}"] == pytest.approx(
            0.1
        )
        assert "identity" not in claim.reason

    def test_the_other_variants_gate_and_other_rates_do_not_count(self, norm, other):
        table = join(
            smallest(),
            gate_rows(NEVER, norms=[norm]),
            gate_rows((0.5,) * 5, norms=set(EQUALITIES) - {norm}),
            gate_rows((0.5,) * 5, rate=0.1),
        )
        assert "holds by identity" in EQUALITIES[norm](table).reason

    def test_the_words_carry_the_number_of_seeds_of_this_run(self, norm, other):
        assert "in 5 steps of 4 seeds" in EQUALITIES[norm](table_of(seeds=4)).reason
        assert "in 3 steps of 2 seeds" in EQUALITIES[norm](table_of(gates=(0.0,) * 3, seeds=2)).reason


def test_there_is_a_spectrum_for_every_variant_and_rate_and_a_gate_for_each_gated_variant_at_the_lowest():
    profile = EXPERIMENT.profile(Scale.QUICK)
    cells = EXPERIMENT.cells(Scale.QUICK, empty_table())
    gates = [cell.config for cell in cells if cell.name == gate_activity.name]
    assert {(one.norm, one.rate, one.seed) for one in gates} == {
        (norm, 0.01, seed) for norm in ("amplify", "suppress") for seed in range(profile.seeds)
    }
    assert len(cells) - len(gates) == 4 * len(profile.rates) * profile.seeds
