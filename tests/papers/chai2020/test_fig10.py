"""Fig. 10's claims on made-up noise amplifications and curves; the readings of the paper are in test_fig10_readings."""

import math
import re

import pytest
from chai_tables import join, without
from noise_tables import AMPLIFICATION, RATES, amplification_rows, study

from normscope.papers.chai2020.cells.arrangements import LABELS, PAPERS_FIVE
from normscope.papers.chai2020.cells.noise import displacement, train_arrangement
from normscope.papers.chai2020.fig10 import EXPERIMENT
from normscope.protocol import Verdict, empty_table

RULES = {rule.id: rule for rule in EXPERIMENT.rules}
MOST, LEAST, NEAR = (
    {rate: RULES[f"{name}-{word}-rate"] for rate, word in zip(RATES, ("low", "high"), strict=True)}
    for name in ("most-sensitive", "least-sensitive", "prior-near-nlms")
)
SETTLES, SMOOTHEST, BAND = (
    RULES[name] for name in ("batchnorm-settles-higher", "smoothest-curve", "smallest-band")
)
REPORTED = (SMOOTHEST, BAND)
JUDGED = [rule for rule in EXPERIMENT.rules if rule not in REPORTED]


def of_five(d=None, errors=None, **options):
    return study(d, errors, readings=False, **options)


@pytest.fixture(scope="module")
def papers():
    """The paper's numbers, every reading run."""
    return study(seeds=4)


def test_every_judged_claim_holds_on_the_papers_numbers(papers):
    claims = {rule.id: rule(papers) for rule in EXPERIMENT.rules}
    assert {id for id, claim in claims.items() if claim.verdict is Verdict.HOLDS} == {
        one.id for one in JUDGED
    }
    assert {claim.seeds for claim in claims.values()} == {4}


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("rules", "d"),
    [
        (MOST, {"baseline": 0.029}),
        (MOST, {"batch": 0.024}),
        (MOST, {"nlms_l1": 0.066}),
        (MOST, {"nlms_l2": 0.19}),
        (MOST, {"prior": 0.066}),
        (LEAST, {"nlms_l2": 0.026}),
        (LEAST, {"prior": 0.0199}),
        (LEAST, {"baseline": 0.0199}),
        (LEAST, {"batch": 0.0199}),
        (NEAR, {"prior": 0.0401}),
        (NEAR, {"nlms_l2": 0.0149}),
    ],
)
def test_a_claim_on_d_does_not_hold_on_numbers_that_deny_it(rules, d, rate):
    assert rules[rate](of_five(d)).verdict is Verdict.FAILS


@pytest.mark.parametrize("rules", [MOST, LEAST, NEAR])
def test_a_claim_on_d_reads_its_own_rate_only(rules):
    others_deny = {(name, 1.0): d for name, d in {"baseline": 0.01, "nlms_l2": 0.1, "prior": 0.9}.items()}
    table = of_five(others_deny)
    assert (rules[0.1](table).verdict, rules[1.0](table).verdict) == (Verdict.HOLDS, Verdict.FAILS)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("rules", "d", "pair"),
    [
        (MOST, {"baseline": 0.031}, "D BN_Prior / Baseline"),
        (MOST, {"baseline": 0.029}, "D BN_Prior / Baseline"),
        (LEAST, {"nlms_l2": 0.0245}, "D NLMS_L2 / NLMS_L1"),
        (LEAST, {"nlms_l2": 0.0255}, "D NLMS_L2 / NLMS_L1"),
        (NEAR, {"prior": 0.039}, "D BN_Prior / NLMS_L2"),
        (NEAR, {"prior": 0.041}, "D BN_Prior / NLMS_L2"),
    ],
)
def test_a_claim_on_d_is_undecided_on_seeds_scattered_about_its_bound(rules, d, pair, rate):
    claim = rules[rate](of_five(d, scatter=0.05))
    assert claim.verdict is Verdict.UNDECIDED
    assert f"{pair} is " in claim.reason
    assert "over 3 seeds between" in claim.reason


def test_a_prior_just_within_twice_nlms_is_near():
    assert NEAR[0.1](of_five({"prior": 0.0399})).verdict is Verdict.HOLDS


def test_a_claim_on_d_gives_the_five_medians_and_the_rises_in_points(papers):
    measured = MOST[0.1](papers).measured
    for name in PAPERS_FIVE:
        assert measured[f"D {LABELS[name]}"] == pytest.approx(AMPLIFICATION[name], rel=1e-3)
        mean_rise = AMPLIFICATION[name] / 10 * (0.5**0.5 + 1.5**0.5) / 2 * (1.25 + 0.8) / 2
        assert measured[f"rise {LABELS[name]}, points"] == pytest.approx(100 * mean_rise, rel=1e-3)


def remark(claim):
    """The stronger noise, how many comparisons hold there, and of how many."""
    (found,) = re.findall(r"noise (\S+?),? (\d+) of (\d+)", claim.reason)
    return found


def test_the_paper_s_noise_decides_and_a_stronger_one_is_a_remark():
    table = of_five(noises=(1.0, 3.0))
    claim = MOST[0.1](table)
    assert claim.verdict is Verdict.HOLDS
    assert remark(claim) == ("3", "6", "6")
    weak = (table["arrangement"] == "baseline") & (table["measure"] == displacement(3.0))
    denied = table.assign(value=table["value"].where(~weak, table["value"] * 0.1))
    assert MOST[0.1](denied).verdict is Verdict.HOLDS
    assert remark(MOST[0.1](denied)) == ("3", "3", "6")
    assert remark(LEAST[1.0](denied)) == ("3", "3", "4")


@pytest.mark.parametrize("rate", RATES)
def test_batchnorm_must_settle_above_prior_at_both_rates(rate):
    assert SETTLES(of_five(errors={("batch", rate): 0.049})).verdict is Verdict.FAILS
    assert SETTLES(of_five(errors={"batch": 0.051})).verdict is Verdict.HOLDS


@pytest.mark.parametrize("level", [0.049, 0.051])
def test_a_settled_error_scattered_about_the_others_is_undecided(level):
    claim = SETTLES(of_five(errors={"batch": level}, scatter=0.05))
    assert claim.verdict is Verdict.UNDECIDED
    assert "error BN_Prior at 0.1 / BatchNorm at 0.1" in claim.reason


def test_the_jitter_and_its_change_are_reported_and_not_judged(papers):
    claim = SMOOTHEST(papers)
    assert claim.verdict is Verdict.NOT_JUDGED
    # Of five changes ±2a, the standard deviation is 2a·√(5/4 · (1 − 1/25)); a is 0.002, and 4 times that with noise.
    deviation = 2 * 4 * 0.002 * math.sqrt(5 / 4 * (1 - 1 / 25))
    assert claim.measured["jitter Baseline at 0.1"] == pytest.approx(deviation)
    assert claim.measured["with / without noise, Baseline at 1"] == pytest.approx(4.0)
    assert len(claim.measured) == 20
    assert "over 4 seeds the noise changes the jitter 1.2 to 5 times" in claim.reason


def test_the_band_and_its_change_are_reported_and_not_judged():
    table = of_five(seeds=5, scatter=0.0)
    noisy = table["function"] == train_arrangement.name
    apart = table.assign(value=table["value"] + table["seed"] * noisy.map({True: 0.003, False: 0.001}))
    claim = BAND(apart)
    assert claim.verdict is Verdict.NOT_JUDGED
    assert claim.measured["band NLMS_L2 at 1"] == pytest.approx(
        2 * 0.003
    )  # quartiles of five are two seeds apart
    assert claim.measured["with / without noise, NLMS_L2 at 1"] == pytest.approx(3.0)


@pytest.fixture(scope="module")
def early():
    """Runs of 990 steps."""
    return study(images=6_336)


class TestTooFewSteps:
    @pytest.mark.parametrize("rule", JUDGED)
    def test_leave_a_claim_unjudged_with_their_number_and_the_medians(self, early, rule):
        claim = rule(early)
        assert claim.verdict is Verdict.NOT_JUDGED
        assert claim.reason.startswith("after 990 steps of training it is too early to tell")
        assert claim.seeds == 3
        if rule is SETTLES:
            assert {"error BatchNorm at 0.1", "error BN_Prior at 1"} <= claim.measured.keys()
            return
        # A reading's numbers are its own: the name of NLMS_L2 has the reading.
        own = {
            name: value
            for name, value in claim.measured.items()
            if name.startswith("D NLMS_L2") and "/" not in name
        }
        assert len(own) == (1 if rule in [*MOST.values(), *LEAST.values(), *NEAR.values()] else 2)
        reading = {"power-as-sum": "sum", "large-eps": "ε = 1", "first-at-fixed-rate": "conv1"}.get(
            rule.id, ""
        )
        assert all(reading in name for name in own if not (reading == "conv1" and name.endswith("at 0.1")))

    @pytest.mark.parametrize("rule", REPORTED)
    def test_leave_the_curves_reported(self, early, rule):
        assert rule(early).verdict is Verdict.NOT_JUDGED
        assert len(rule(early).measured) == 20

    def test_are_fewer_than_a_thousand(self):
        assert MOST[0.1](of_five(images=6_400)).verdict is Verdict.HOLDS


@pytest.mark.filterwarnings("error")
def test_the_band_of_one_seed_has_no_change_to_report():
    claim = BAND(of_five(seeds=1))
    assert claim.verdict is Verdict.NOT_JUDGED
    assert "NaN" not in claim.reason


class TestADivergedRun:
    @pytest.mark.parametrize("rate", RATES)
    def test_of_every_seed_has_infinite_d_and_is_not_the_least_sensitive(self, rate):
        claim = LEAST[rate](of_five(diverged=("nlms_l2",)))
        assert claim.verdict is Verdict.FAILS
        assert claim.measured["D NLMS_L2"] == math.inf
        assert MOST[rate](of_five(diverged=("nlms_l2",))).verdict is Verdict.FAILS

    def test_of_one_seed_leaves_the_order_open(self):
        one = without(of_five(), arrangement="nlms_l2", seed=1)
        both = [amplification_rows("nlms_l2", rate, 1, []) for rate in RATES]
        claim = LEAST[0.1](join(one, *both))
        assert claim.verdict is Verdict.UNDECIDED
        assert "some seeds diverged" in claim.reason
        assert claim.seeds == 3

    def test_of_nlms_l2_leaves_prior_nothing_to_be_near(self):
        assert NEAR[0.1](of_five(diverged=("nlms_l2",))).verdict is not Verdict.HOLDS

    def test_of_baseline_is_the_most_sensitive(self):
        claim = MOST[1.0](of_five(diverged=("baseline",)))
        assert claim.verdict is Verdict.HOLDS
        assert claim.measured["D Baseline"] == math.inf

    def test_settles_at_chance(self):
        claim = SETTLES(of_five(diverged=("batch",)))
        assert claim.measured["error BatchNorm at 1"] == 0.9
        assert claim.verdict is Verdict.HOLDS

    def test_has_infinite_jitter(self):
        assert SMOOTHEST(of_five(diverged=("prior",))).measured["jitter BN_Prior at 0.1"] == math.inf


@pytest.mark.parametrize("rule", EXPERIMENT.rules)
def test_a_claim_is_not_judged_without_the_rows_that_it_needs(rule):
    assert rule(empty_table()).verdict is Verdict.NOT_JUDGED
    for table in (of_five(skip=("prior", "nlms_l1")), of_five(rates=(7.0,))):
        claim = rule(table)
        assert claim.verdict is Verdict.NOT_JUDGED
        words = "no finished run of", "no rows", "this reading was not run"
        assert any(word in claim.reason for word in words)


@pytest.mark.parametrize("rule", JUDGED)
def test_a_claim_is_not_judged_on_one_seed(rule):
    claim = rule(study(seeds=1))
    assert (claim.verdict, "one seed gives no interval" in claim.reason) == (Verdict.NOT_JUDGED, True)


def test_a_table_of_which_no_noisy_run_has_finished_is_judged_as_far_as_it_goes(papers):
    quiet = without(papers, function=train_arrangement.name).drop(columns="noise")
    assert {rule(quiet).verdict for rule in JUDGED} == {Verdict.HOLDS}
    for rule in REPORTED:
        assert "no finished run of Baseline at rate 0.1 and noise 1" in rule(quiet).reason
