"""Fig. 8's claims on made-up errors and eigenvalues."""

import math
import re

import pytest
from chai_tables import join, over_seeds, spectrum_rows, training_rows, variants, without

from normscope.papers.chai2020.cells.lenet import early_spectrum, train_lenet
from normscope.papers.chai2020.fig8 import EXPERIMENT, largest_eigenvalue, stability
from normscope.protocol import Scale, Verdict, empty_table

FINE = variants(0.05, 0.03, 0.04, 0.04)
"""Last errors at rates at which all train."""

BROKEN = variants(0.9, 0.04, 0.8, 0.05)
"""Last errors at rates that break Baseline and Amplify."""

LARGEST = variants(500.0, 50.0, 600.0, 40.0)


def errors_at(rate, errors, **options):
    return over_seeds(training_rows, {k: [0.5, v] for k, v in errors.items()}, rate=rate, **options)


def sweep(broken=None, largest=None, best=None, rates=(0.01, 4.0, 10.0), **options):
    """All train below rate 4; from there on Baseline and Amplify are broken."""
    tables = []
    for rate in rates:
        errors = FINE | (best or {}) if rate < 4 else BROKEN | (broken or {})
        tables.append(errors_at(rate, errors, **options))
        values = LARGEST | (largest or {})
        tables.append(over_seeds(spectrum_rows, values, rate=rate, measure="lambda_max", **options))
    return join(*tables)


def test_errors_that_are_null_are_not_judged():
    table = sweep()
    for norms in (["batch"], ["none", "batch", "amplify", "suppress"]):
        is_unknown = (table["measure"] == "validation_error") & table["norm"].isin(norms)
        assert stability(table.assign(value=table["value"].mask(is_unknown))).verdict is Verdict.NOT_JUDGED


def test_every_claim_holds_on_the_papers_numbers():
    claims = EXPERIMENT.claims(sweep())
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 2
    assert [claim.seeds for claim in claims] == [3] * 2


def test_the_errors_are_those_of_the_smallest_rate_that_breaks_both():
    table = join(sweep(rates=(4.0, 10.0)), sweep({"amplify": 0.2, "none": 0.7}, rates=(2.0, 3.0)))
    assert stability(table).measured["rate"] == 4.0


@pytest.mark.parametrize("norm", ["batch", "suppress"])
class TestStability:
    """Its bound is 1.5 times the variant's own best error: 0.045 of BatchNorm, 0.06 of Suppress."""

    def test_holds_up_to_its_bound(self, norm):
        assert stability(sweep({norm: 1.49 * FINE[norm]})).verdict is Verdict.HOLDS

    def test_does_not_hold_beyond_it(self, norm):
        claim = stability(sweep({norm: 1.51 * FINE[norm]}))
        assert claim.verdict is Verdict.FAILS
        (beyond,) = (one for one in claim.comparisons if one.holds is False)
        assert beyond.value == pytest.approx(1.51)
        assert beyond.name.endswith("its best, at rate 0.01")

    @pytest.mark.parametrize("factor", [1.49, 1.51])
    def test_is_undecided_on_seeds_scattered_about_it(self, norm, factor):
        """The ratio is of one variant at two rates: seeds scatter at the higher one only."""
        fine = {k: [0.5, v] for k, v in FINE.items()}
        table = join(
            *(training_rows(fine, 0.01, seed) for seed in range(3)),
            errors_at(4.0, BROKEN | {norm: factor * FINE[norm]}, scatter=0.05),
        )
        assert stability(table).verdict is Verdict.UNDECIDED

    def test_the_bound_is_the_variants_own_best_error_over_all_rates(self, norm):
        """A tenfold better best error makes the same error too high, another variant's best does not."""
        others = {name: error / 10 for name, error in FINE.items() if name != norm}
        broken = {name: BROKEN[name] / 10 for name in ("batch", "suppress") if name != norm}
        assert stability(sweep(broken, best=others)).verdict is Verdict.HOLDS
        assert stability(sweep(broken, best=others | {norm: FINE[norm] / 10})).verdict is Verdict.FAILS

    def test_the_best_rate_may_be_the_breaking_one(self, norm):
        claim = stability(sweep({norm: FINE[norm] / 2}))
        assert claim.verdict is Verdict.HOLDS
        (level,) = (one for one in claim.comparisons if one.name.endswith("its best, at rate 4"))
        assert (level.value, level.low, level.high) == (1, 1, 1)


def test_stability_does_not_hold_when_baseline_and_amplify_never_both_fail():
    claim = stability(sweep({"none": 0.2}))
    assert claim.verdict is Verdict.FAILS
    assert "rate 10 is the highest" in claim.reason
    assert claim.measured["error Baseline"] == pytest.approx(0.2, rel=1e-3)
    assert claim.deciding.name == "error Baseline at rate 10"


def test_stability_is_undecided_when_only_some_seeds_of_baseline_fail_at_the_highest_rate():
    errors = zip(range(3), (0.3, 0.9, 0.4), strict=True)
    runs = [
        training_rows(variants([0.5, none], [0.5, 0.03], [0.5, 0.9], [0.5, 0.03]), 10.0, seed)
        for seed, none in errors
    ]
    assert stability(join(*runs)).verdict is Verdict.UNDECIDED


def test_networks_that_fail_at_every_rate_are_not_stable():
    failed = dict.fromkeys(FINE, 0.9)
    assert stability(sweep(failed, best=failed)).verdict is Verdict.FAILS


def test_stability_is_not_judged_when_the_grid_ends_too_early():
    claim = stability(sweep(rates=(0.01, 2.0)))
    assert claim.verdict is Verdict.NOT_JUDGED
    assert "up to rate 2" in claim.reason


@pytest.mark.parametrize("largest", [{"none": 39.0}, {"amplify": 39.9}])
def test_the_eigenvalue_claim_does_not_hold_when_suppress_is_not_the_smaller(largest):
    assert largest_eigenvalue(sweep(largest=largest)).verdict is Verdict.FAILS


@pytest.mark.parametrize("largest", [{"none": 39.9}, {"none": 40.1}, {"amplify": 41.0}])
def test_the_eigenvalue_claim_is_undecided_on_seeds_scattered_about_equality(largest):
    assert largest_eigenvalue(sweep(largest=largest, scatter=0.05)).verdict is Verdict.UNDECIDED


class TestAnInfinity:
    """A run that diverged within five steps has an infinite eigenvalue."""

    def table(self, seeds=3):
        """Amplify at rate 4 and every run at rate 10 diverge; at 0.01 the ratios differ from those at 4."""
        return join(
            sweep(rates=(0.01,), largest={"none": 44.0}, seeds=seeds),
            sweep(rates=(4.0,), largest={"amplify": None, "none": 39.0}, seeds=seeds),
            sweep(rates=(10.0,), largest=dict.fromkeys(LARGEST), seeds=seeds),
        )

    def test_is_not_judged_but_named_with_its_rates(self):
        claim = largest_eigenvalue(self.table())
        assert claim.verdict is Verdict.HOLDS
        assert re.findall(r"[\d.]+", claim.reason) == ["4", "10", "5"]
        assert "diverged within 5 steps" in claim.reason
        assert all(math.isfinite(value) for value in claim.measured.values())

    def test_moves_the_claim_to_the_largest_rate_at_which_all_are_finite(self):
        measured = largest_eigenvalue(self.table()).measured
        assert measured["rate"] == 0.01
        assert measured["λ_max Baseline"] == pytest.approx(44.0, rel=1e-3)
        assert largest_eigenvalue(sweep()).measured["rate"] == 10.0

    def test_of_one_seed_is_enough(self):
        one_seed = spectrum_rows(LARGEST | {"batch": None}, 10.0, "lambda_max", seed=3)
        assert largest_eigenvalue(join(sweep(), one_seed)).measured["rate"] == 4.0

    def test_at_every_rate_leaves_nothing_to_judge(self):
        claim = largest_eigenvalue(sweep(largest={"suppress": None}))
        assert claim.verdict is Verdict.NOT_JUDGED
        assert "at no rate" in claim.reason


def test_the_eigenvalues_are_judged_without_a_rate_that_breaks_both():
    assert largest_eigenvalue(sweep({"none": 0.2})).verdict is Verdict.HOLDS


def test_a_diverged_run_counts_as_chance_in_its_last_error():
    runs = [training_rows(variants([], [0.5, 0.03], [0.5], [0.5, 0.04]), 4.0, seed) for seed in range(3)]
    claim = stability(join(*runs))
    assert (claim.measured["error Baseline"], claim.measured["error BN_Amplify"]) == (0.9, 0.9)
    assert claim.verdict is Verdict.HOLDS


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_a_claim_is_not_judged_without_the_rows_that_it_needs_or_with_one_seed(rule):
    assert rule(empty_table()).verdict is Verdict.NOT_JUDGED
    lacking = rule(without(sweep(), norm="suppress"))
    assert (lacking.verdict, "BN_Suppress" in lacking.reason) == (Verdict.NOT_JUDGED, True)
    single = rule(sweep(seeds=1))
    assert (single.verdict, "one seed gives no interval" in single.reason) == (Verdict.NOT_JUDGED, True)


def test_there_is_a_run_and_a_spectrum_for_every_variant_rate_and_seed():
    profile = EXPERIMENT.profile(Scale.QUICK)
    cells = EXPERIMENT.cells(Scale.QUICK, empty_table())
    for function in (train_lenet, early_spectrum):
        found = [(cell.config.norm, cell.config.rate) for cell in cells if cell.name == function.name]
        assert set(found) == {(norm, rate) for norm in FINE for rate in profile.rates}
        assert len(found) == 4 * len(profile.rates) * profile.seeds
