"""The paper's readings in Fig. 10: their claims on made-up numbers, and the cells that they are run with."""

import pytest
from chai_tables import join, without
from noise_tables import READINGS, papers_name, study

from normscope.papers.chai2020.cells.arrangements import FIRST_FIXED, LARGE_EPS, PAPERS_FIVE, SUM
from normscope.papers.chai2020.cells.noise import noise_amplification, train_arrangement
from normscope.papers.chai2020.fig10 import EXPERIMENT
from normscope.papers.chai2020.profiles import NOISE_RATES
from normscope.protocol import Scale, Verdict, empty_table

RULES = {rule.id: rule for rule in EXPERIMENT.rules if rule.id in READINGS}


def verdicts(table):
    return {id: rule(table).verdict for id, rule in RULES.items()}


def only(id, verdict):
    """That verdict of one reading, and that every other holds."""
    return dict.fromkeys(READINGS, Verdict.HOLDS) | {id: verdict}


def of_reading(id, papers):
    """The arrangement of a reading that takes the place of one of the paper's, at rate 1."""
    (found,) = (name for name in READINGS[id] if papers_name(name) == papers)
    return (found, 1.0)


@pytest.mark.parametrize("id", READINGS)
class TestAReading:
    def test_fails_alone_where_its_nlms_l1_does_not_train_as_far(self, id):
        assert verdicts(study(errors={of_reading(id, "nlms_l1"): 0.063})) == only(id, Verdict.FAILS)

    def test_fails_where_its_nlms_l2_does_not_train_as_far_and_holds_up_to_the_bound(self, id):
        assert RULES[id](study(errors={of_reading(id, "nlms_l2"): 0.063})).verdict is Verdict.FAILS
        within = {of_reading(id, name): 0.062 for name in ("nlms_l1", "nlms_l2")}
        assert RULES[id](study(errors=within)).verdict is Verdict.HOLDS

    def test_fails_alone_where_its_nlms_l2_is_not_the_least_sensitive(self, id):
        assert verdicts(study({of_reading(id, "nlms_l2"): 0.026})) == only(id, Verdict.FAILS)

    def test_fails_where_its_nlms_l1_is_as_sensitive_as_baseline_and_says_how_many_comparisons_agree(
        self, id
    ):
        claim = RULES[id](study({of_reading(id, "nlms_l1"): 0.066}))
        assert claim.verdict is Verdict.FAILS
        assert claim.reason.startswith("19 of 20 comparisons agree with the paper, against it: 1; D NLMS_L1")
        assert len(claim.comparisons) == 20

    def test_is_undecided_alone_on_seeds_scattered_about_a_bound(self, id):
        name, rate = of_reading(id, "nlms_l2")
        wide = study({(name, rate): 0.0245}, scatter=0.1)
        own = wide[(wide["arrangement"] == name) & (wide["rate"] == rate)]
        found = verdicts(join(without(study(), arrangement=name, rate=rate), own))
        assert found == only(id, Verdict.UNDECIDED)

    def test_is_not_judged_alone_where_its_runs_are_missing(self, id):
        name, rate = of_reading(id, "nlms_l2")
        found = verdicts(without(study(), arrangement=name, rate=rate))
        assert found == only(id, Verdict.NOT_JUDGED)

    def test_of_which_nlms_diverged_fails(self, id):
        claim = RULES[id](study(diverged=(of_reading(id, "nlms_l2"),)))
        assert claim.verdict is Verdict.FAILS
        assert max(claim.measured.values()) == float("inf")


@pytest.mark.parametrize("papers", ["baseline", "batch"])
def test_the_reading_of_the_first_convolution_replaces_all_five_arrangements_at_rate_1(papers):
    id = "first-at-fixed-rate"
    assert verdicts(study({of_reading(id, papers): 0.01})) == only(id, Verdict.FAILS)
    denies_the_others = study({(papers, 1.0): 0.01})
    assert RULES[id](denies_the_others).verdict is Verdict.HOLDS
    others = set(READINGS) - {id}
    assert {RULES[other](denies_the_others).verdict for other in others} == {Verdict.FAILS}


def test_at_the_fixed_rate_the_two_readings_of_the_first_convolution_are_the_same_runs():
    found = verdicts(study({("nlms_l2", 0.1): 0.026}))
    failing = {"power-as-mean", "first-at-fixed-rate"}
    assert {id for id, verdict in found.items() if verdict is Verdict.FAILS} == failing


def configs(scale, function):
    return [cell.config for cell in EXPERIMENT.cells(scale, empty_table()) if cell.name == function.name]


@pytest.mark.parametrize("scale", [Scale.LAPTOP, Scale.PAPER])
class TestTheCells:
    def test_of_the_papers_five_try_every_noise_with_every_seed(self, scale):
        profile = EXPERIMENT.profile(scale)
        found = [one for one in configs(scale, noise_amplification) if one.arrangement in PAPERS_FIVE]
        assert {one.noises for one in found} == {profile.noises} == {(1.0, 3.0)}
        assert {(one.arrangement, one.rate, one.seed) for one in found} == {
            (name, rate, seed) for name in PAPERS_FIVE for rate in NOISE_RATES for seed in range(profile.seeds)
        }  # fmt: skip

    def test_of_a_reading_try_noise_1_with_the_readings_seeds(self, scale):
        profile = EXPERIMENT.profile(scale)
        found = [one for one in configs(scale, noise_amplification) if one.arrangement not in PAPERS_FIVE]
        assert {one.noises for one in found} == {(1.0,)}
        assert {one.seed for one in found} == set(range(profile.reading_seeds))
        assert {one.states for one in found} == {profile.states}

    def test_of_the_first_convolutions_reading_are_run_at_other_rates_than_the_fixed_one(self, scale):
        found = configs(scale, noise_amplification)
        rates = {
            name: {one.rate for one in found if one.arrangement == name}
            for name in (*SUM, *LARGE_EPS, *FIRST_FIXED)
        }
        everywhere = {name: set(NOISE_RATES) for name in (*SUM, *LARGE_EPS)}
        assert rates == everywhere | {name: {1.0} for name in FIRST_FIXED}

    def test_with_noise_throughout_are_the_papers_five_at_noise_1(self, scale):
        profile = EXPERIMENT.profile(scale)
        found = configs(scale, train_arrangement)
        assert {(one.arrangement, one.noise) for one in found} == {(name, 1.0) for name in PAPERS_FIVE}
        assert len(found) == 5 * 2 * profile.noisy_seeds


def test_the_quick_scale_runs_no_other_reading():
    assert {one.arrangement for one in configs(Scale.QUICK, noise_amplification)} == set(PAPERS_FIVE)


@pytest.mark.parametrize("scale", Scale)
def test_noise_is_tried_from_states_that_a_run_reaches(scale):
    for one in configs(scale, noise_amplification):
        assert set(one.states) < set(one.measured_states())


def test_the_settings_of_the_quick_scale_have_no_gap_where_there_is_no_state_before_the_end():
    words = EXPERIMENT.profile(Scale.QUICK).describe()["noise amplification"]
    assert "  " not in words
