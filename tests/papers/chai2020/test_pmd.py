"""§4's claims on made-up steps."""

import math

import pytest
from chai_tables import join, scattered, without
from noise_tables import RATES, balanced_rows, step_rows

from normscope.papers.chai2020.cells.arrangements import PLAIN
from normscope.papers.chai2020.cells.step_comparison import balanced_step, compare_steps
from normscope.papers.chai2020.pmd import EXPERIMENT, closest_at_first_step, exact_at_first_step, stays_close
from normscope.papers.chai2020.profiles import VARIATIONS
from normscope.protocol import Scale, Verdict, empty_table

FIRST = {"baseline": (0.5, 0.1), "batch": (0.4, 0.1), "prior": (0.9, 1.1)}
"""Cosine and length at step 0."""

LATER = {1: (0.85, 0.05, 0.01), 2: (0.8, 0.1, 0.1), 9: (0.3, 0.3, 0.1), 10: (0.2, 0.05, 0.3)}
"""BN_Prior's cosine, γ's and β's distance by step."""

DISTANCES = {0.0: 1e-14, 0.5: 0.4, 2.0: 0.9}
"""Of balanced inputs' steps from NLMS's, by the variation of the power."""

BEFORE = "cosine BN_Prior, both on the input before the norm"


def steps(first=None, later=None, distances=None, rates=RATES, seeds=3, scatter=1e-4):
    first, later = FIRST | (first or {}), LATER | (later or {})
    tables = [balanced_rows(seed, DISTANCES | (distances or {})) for seed in range(seeds)]
    for rate in rates:
        for seed in range(seeds):
            for place, (name, (cosine, length)) in enumerate(first.items()):
                cosine = scattered(cosine, seed, seeds, place, scatter)
                at_start = {"cosine_mean": cosine, "cosine_sum": cosine / 2, "length": length}
                at_start["power_variation"] = 0.8
                if name == "prior":
                    at_start |= {"cosine_before_norm": 0.95, "gain_distance": 0.0, "bias_distance": 0.0}
                tables.append(step_rows(name, rate, seed, {0: at_start}))
            by_step = {}
            for step, (cosine, gain, bias) in later.items():
                cosine = scattered(cosine, seed, seeds, step, scatter)
                by_step[step] = {"cosine_mean": cosine, "gain_distance": gain, "bias_distance": bias}
            tables.append(step_rows("prior", rate, seed, by_step))
    return join(*tables)


def test_every_claim_holds_on_the_papers_argument():
    claims = EXPERIMENT.claims(steps())
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 3
    assert [claim.seeds for claim in claims] == [3] * 3


class TestClosest:
    @pytest.mark.parametrize("first", [{"baseline": (0.91, 1)}, {"batch": (0.91, 1)}, {"prior": (0.49, 1)}])
    def test_does_not_hold_where_another_is_closer(self, first):
        assert closest_at_first_step(steps(first)).verdict is Verdict.FAILS

    @pytest.mark.parametrize("baseline", [0.89, 0.91])
    def test_is_undecided_on_seeds_scattered_about_equality(self, baseline):
        claim = closest_at_first_step(steps({"baseline": (baseline, 1.0)}, scatter=0.05))
        assert claim.verdict is Verdict.UNDECIDED
        assert claim.reason.startswith("cosine BN_Prior − Baseline is")
        assert "over 3 seeds between" in claim.reason

    def test_compares_differences_of_cosines_which_may_be_negative(self):
        opposed = {"baseline": (-0.5, 1.0), "batch": (-0.9, 1.0), "prior": (-0.1, 1.0)}
        claim = closest_at_first_step(steps(opposed, scatter=0.0))
        assert claim.verdict is Verdict.HOLDS
        assert claim.measured["cosine BN_Prior − Baseline"] == pytest.approx(0.4)

    def test_takes_medians_of_seeds_each_counted_once(self):
        """Step 0 is the same at every rate: a seed's two runs are one number."""
        table = join(
            *(steps({"prior": (cosine, 1.0)}).query(f"seed == {s}") for s, cosine in enumerate((0.6, 0.7, 1)))
        )
        claim = closest_at_first_step(table)
        assert claim.measured["cosine BN_Prior"] == pytest.approx(0.7, rel=1e-3)
        assert claim.measured["cosine BN_Prior, power as sum"] == pytest.approx(0.35, rel=1e-3)
        assert claim.measured[BEFORE] == pytest.approx(0.95)
        assert claim.seeds == 3

    def test_is_judged_in_a_folder_from_before_the_input_before_the_norm_was_compared(self):
        claim = closest_at_first_step(without(steps(), measure="cosine_before_norm"))
        assert claim.verdict is Verdict.HOLDS
        assert BEFORE not in claim.measured

    def test_is_not_judged_on_one_seed(self):
        claim = closest_at_first_step(steps(seeds=1))
        assert claim.verdict is Verdict.NOT_JUDGED
        assert "one seed gives no interval" in claim.reason


class TestExact:
    """Every run must meet it: no interval decides it, and one seed is enough."""

    @pytest.mark.parametrize(("distance", "verdict"), [(0.9e-9, Verdict.HOLDS), (1.1e-9, Verdict.FAILS)])
    def test_holds_up_to_a_relative_1e_9(self, distance, verdict):
        assert exact_at_first_step(steps(distances={0.0: distance})).verdict is verdict

    def test_does_not_hold_where_one_run_misses_it_or_has_no_number(self):
        for value in (1e-8, math.nan):
            table = steps()
            worst = (table["measure"] == "distance") & (table["variation"] == 0) & (table["seed"] == 1)
            claim = exact_at_first_step(table.assign(value=table["value"].mask(worst, value)))
            assert claim.verdict is Verdict.FAILS

    def test_is_of_inputs_in_balance_only(self):
        assert exact_at_first_step(steps(distances={0.5: 9.0})).verdict is Verdict.HOLDS
        assert exact_at_first_step(without(steps(), variation=0.0)).verdict is Verdict.NOT_JUDGED

    def test_says_how_far_digits_miss_the_assumption_in_this_run(self):
        claim = exact_at_first_step(steps({"prior": (0.6, 0.97)}, scatter=0.0))
        for words in ("coefficient of variation of 0.8", "cosine is 0.6", "0.97 times as long as NLMS's"):
            assert words in claim.reason
        assert claim.measured["cosine on real images"] == 0.6
        other = exact_at_first_step(steps({"prior": (0.7, 1.2)}, scatter=0.0)).reason
        assert "cosine is 0.7 and the step 1.2 times" in other

    def test_is_judged_on_one_seed(self):
        claim = exact_at_first_step(steps(seeds=1))
        assert (claim.verdict, claim.seeds) == (Verdict.HOLDS, 1)


class TestStaysClose:
    def test_is_of_the_steps_near_the_start_values_only(self):
        claim = stays_close(steps(scatter=0.0))
        assert claim.measured["kept at 0.1"] == pytest.approx((0.85 + 0.8) / 2 / 0.9)
        assert claim.measured["near steps at 0.1"] == 2
        assert claim.measured["kept after at 1"] == pytest.approx((0.3 + 0.2) / 2 / 0.9)

    @pytest.mark.parametrize("later", [{1: (0.3, 0.05, 0.01)}, {9: (0.0, 0.1, 0.1)}])
    def test_does_not_hold_where_a_near_step_is_not_close(self, later):
        assert stays_close(steps(later=later)).verdict is Verdict.FAILS

    @pytest.mark.parametrize(("cosine", "verdict"), [(0.721, Verdict.HOLDS), (0.719, Verdict.FAILS)])
    def test_holds_up_to_0_8_of_the_first_cosine(self, cosine, verdict):
        later = dict.fromkeys((1, 2), (cosine, 0.05, 0.05))
        assert stays_close(steps(later=later)).verdict is verdict

    @pytest.mark.parametrize("rate", RATES)
    def test_must_hold_at_both_rates(self, rate):
        (other,) = set(RATES) - {rate}
        denied = steps(later={1: (0.1, 0.05, 0.01)}, rates=(rate,))
        claim = stays_close(join(steps(rates=(other,)), denied))
        assert claim.verdict is Verdict.FAILS
        assert claim.reason.startswith(f"kept at {rate:g}, cosine − 0.8 × at step 0 is")

    @pytest.mark.parametrize("cosine", [0.71, 0.73])
    def test_is_undecided_on_seeds_scattered_about_the_bound(self, cosine):
        later = dict.fromkeys((1, 2), (cosine, 0.05, 0.05))
        claim = stays_close(steps(later=later, scatter=0.05))
        assert claim.verdict is Verdict.UNDECIDED
        assert "over 3 seeds between" in claim.reason

    def test_is_not_judged_without_near_steps(self):
        claim = stays_close(steps(later=dict.fromkeys((1, 2, 9, 10), (0.9, 0.5, 0.0))))
        assert claim.verdict is Verdict.NOT_JUDGED
        assert "at rate 0.1 no step after the first" in claim.reason

    def test_is_not_judged_on_one_seed(self):
        assert stays_close(steps(seeds=1)).verdict is Verdict.NOT_JUDGED


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_a_claim_is_not_judged_without_the_rows_that_it_needs(rule):
    assert rule(empty_table()).verdict is Verdict.NOT_JUDGED
    lacking = rule(without(steps(), arrangement="prior"))
    assert lacking.verdict is Verdict.NOT_JUDGED
    assert "BN_Prior" in lacking.reason or "arrangement = prior" in lacking.reason


@pytest.mark.parametrize("scale", Scale)
def test_there_is_a_comparison_for_every_arrangement_rate_and_seed_and_a_balanced_step_for_every_variation(
    scale,
):
    profile = EXPERIMENT.profile(scale)
    cells = EXPERIMENT.cells(scale, empty_table())
    compared = {
        (cell.config.arrangement, cell.config.rate, cell.config.seed)
        for cell in cells
        if cell.name == compare_steps.name
    }
    balanced = {
        (cell.config.variation, cell.config.seed) for cell in cells if cell.name == balanced_step.name
    }
    seeds = range(profile.seeds)
    assert compared == {(name, rate, seed) for name in PLAIN for rate in profile.rates for seed in seeds}
    assert balanced == {(variation, seed) for variation in VARIATIONS for seed in seeds}
    assert len(cells) == len(compared) + len(balanced)
