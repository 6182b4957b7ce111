import math

import numpy as np
import pytest
from scipy import stats

from normscope.papers.shared.contrasts import below, difference, level, ratio
from normscope.protocol import NotJudgedError

SEEDS = (3, 5, 10)
TRIALS = 600


def by_seed(values, first=0):
    return dict(enumerate(values, start=first))


def log_normal(generator, count, middle=1.0, spread=0.3, shared=0.0):
    return by_seed(middle * np.exp(shared + spread * generator.normal(size=count)))


def share_decided(decisions):
    return sum(decision is not None for decision in decisions) / len(decisions)


class TestInterval:
    def test_paired_numbers_have_students_interval_of_the_log_ratio(self):
        over, under = [2.0, 3.0, 7.0], [1.0, 2.0, 3.0]
        expected = stats.ttest_rel(np.log(over), np.log(under)).confidence_interval(0.95)
        found = ratio("x", by_seed(over), by_seed(under))
        assert found.interval() == pytest.approx(tuple(np.exp(expected)))
        assert found.value == pytest.approx(stats.gmean(np.divide(over, under)))

    def test_pairs_are_found_by_the_seeds_numbers_and_a_seed_without_its_counterpart_is_left_out(self):
        found = ratio("x", {3: 6.0, 1: 2.0, 9: 99.0}, {1: 1.0, 3: 2.0})
        assert found.seeds == 2
        assert found.value == pytest.approx(math.sqrt(2 * 3))

    def test_groups_without_common_seeds_have_welchs_interval(self):
        one, other = [2.0, 2.5, 4.0], [1.0, 1.2, 0.7, 0.9]
        expected = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
        found = difference("x", by_seed(one), by_seed(other, first=10))
        assert found.interval() == pytest.approx(tuple(expected))
        assert found.seeds == 3

    def test_a_level_has_students_interval_of_its_mean(self):
        values = [0.7, 0.9, 0.8]
        expected = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
        assert level("x", by_seed(values)).interval() == pytest.approx(expected)

    @pytest.mark.parametrize("make", [ratio, difference])
    def test_one_seed_gives_none(self, make):
        with pytest.raises(NotJudgedError, match="x: one seed gives no interval"):
            make("x", {0: 2.0}, {0: 1.0}).interval()

    def test_no_seed_with_a_number_is_refused(self):
        with pytest.raises(NotJudgedError, match="x: no seed has finite numbers"):
            ratio("x", {0: math.nan, 1: math.nan}, {0: 1.0, 1: 1.0})


class TestInfinities:
    def test_an_infinity_in_every_seed_is_certain(self):
        found = ratio("x", by_seed([math.inf] * 3), by_seed([1.0, 2.0, 3.0]), least=2)
        assert found.interval() == (math.inf, math.inf)
        assert (found.value, found.decide()) == (math.inf, True)
        assert below("x", by_seed([math.inf] * 3), by_seed([1.0, 2.0, 3.0])).decide() is False

    def test_an_infinity_below_the_line_in_every_seed_makes_the_ratio_zero(self):
        found = below("x", by_seed([1.0, 2.0, 3.0]), by_seed([math.inf] * 3))
        assert (found.value, found.interval(), found.decide()) == (0.0, (0.0, 0.0), True)

    def test_an_infinity_in_some_seeds_opens_the_interval_on_its_side_only(self):
        found = ratio("x", by_seed([2.0, 2.1, 2.2, math.inf]), by_seed([1.0] * 4), most=1.5)
        low, high = found.interval()
        assert (1.5 < low < 2.1, high) == (True, math.inf)
        assert found.decide() is False
        assert ratio("x", by_seed([2.0, 2.1, math.inf]), by_seed([1.0] * 3), most=9).decide() is None

    def test_infinities_on_both_sides_decide_nothing(self):
        found = ratio("x", by_seed([math.inf, 1.0, 1.0]), by_seed([1.0, math.inf, 1.0]), most=2)
        assert (found.decide(), found.comparison().enough) == (None, None)

    def test_groups_of_which_one_is_infinite_are_decided(self):
        found = ratio("x", by_seed([math.inf] * 3), by_seed([1.0, 2.0, 3.0], first=10), least=2)
        assert found.decide() is True

    def test_two_seeds_that_diverge_are_not_enough(self):
        assert ratio("x", by_seed([math.inf] * 2), by_seed([1.0, 2.0]), least=2).decide() is None

    def test_where_both_runs_of_every_seed_diverged_there_is_nothing_to_compare(self):
        with pytest.raises(NotJudgedError, match="x: both runs of every seed diverged"):
            ratio("x", by_seed([math.inf] * 3), by_seed([math.inf] * 3))

    def test_two_runs_of_a_seed_that_both_diverged_are_equal(self):
        one, other = by_seed([math.inf, math.inf, 2.0]), by_seed([math.inf, math.inf, 2.0])
        assert ratio("x", one, other).interval() == (1.0, 1.0)
        assert below("x", by_seed([1.0, 1.0, 1.0]), by_seed([1.0, 1.0, math.inf])).decide() is None

    @pytest.mark.parametrize("count", [3, 5])
    @pytest.mark.parametrize("chance", [0.3, 0.5, 0.7])
    def test_of_orders_of_runs_that_diverge_by_chance_at_most_one_in_twenty_is_decided(self, count, chance):
        generator = np.random.default_rng(count)
        decisions = []
        for _ in range(TRIALS):
            pair = [np.exp(0.3 * generator.normal(size=count)) for _ in range(2)]
            pair = [np.where(generator.random(count) < chance, math.inf, one) for one in pair]
            if not np.isinf(pair).all():
                decisions.append(below("x", *map(by_seed, pair)).decide())
        assert share_decided(decisions) <= 0.07

    def test_the_estimate_is_a_seeds_own_where_infinities_are_on_both_sides(self):
        assert ratio(
            "x", by_seed([math.inf, 1.0, 2.0]), by_seed([1.0, math.inf, 1.0])
        ).value == pytest.approx(2.0)


class TestBadNumbers:
    def test_a_ratio_of_a_negative_number_is_not_judged(self):
        with pytest.raises(NotJudgedError, match="x: a ratio needs positive numbers"):
            ratio("x", {0: -0.1, 1: 0.7}, {0: 0.7, 1: 0.7})

    def test_a_seed_that_is_not_a_number_is_left_out_and_counted(self):
        found = ratio("x", {0: math.nan, 1: 1.0, 2: 1.1}, by_seed([1.0] * 3))
        assert (found.seeds, found.left_out) == (2, 1)


class TestDecision:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [([1.0, 1.01, 0.99], True), ([1.4, 1.41, 1.39], False), ([1.0, 1.2, 1.4], None)],
    )
    def test_the_whole_interval_decides(self, values, expected):
        found = ratio("x", by_seed(values), by_seed([1.0] * 3), least=0.8, most=1.25)
        assert found.decide() is expected
        assert found.comparison().holds is expected

    def test_two_that_are_the_same_are_equal_and_neither_is_below_the_other(self):
        same = by_seed([0.1, 0.2])
        assert ratio("x", same, same, least=0.8, most=1.0).decide() is True
        assert below("x", same, same).decide() is False

    def test_an_undecided_comparison_says_how_many_seeds_would_decide_it(self):
        """The interval's half width at n seeds is t s/√n: with s and the distance to the bound, n by trial."""
        logs = np.array([-0.1, 0.2, 0.5, 0.0, 0.3])
        found = ratio("x", by_seed(np.exp(logs)), by_seed([1.0] * 5), least=1.0).comparison()
        needed = next(
            n for n in range(6, 999) if stats.t.ppf(0.975, n - 1) * logs.std(ddof=1) < logs.mean() * n**0.5
        )
        assert (found.holds, found.enough) == (None, needed)

    def test_where_the_numbers_meet_the_bound_no_number_of_seeds_is_promised(self):
        found = ratio("x", by_seed([0.5, 2.0]), by_seed([1.0, 1.0]), most=1.0).comparison()
        assert (found.holds, found.enough) == (None, None)

    def test_a_decided_comparison_needs_no_more_seeds(self):
        assert ratio("x", by_seed([2.0, 2.1]), by_seed([1.0, 1.0]), least=1.0).comparison().enough is None


class TestCalibration:
    """Of comparisons without an effect at most 5 % are decided, up to the scatter of 600 trials (twice 0.9 %)."""

    @pytest.mark.parametrize("count", SEEDS)
    def test_paired_orders(self, count):
        generator = np.random.default_rng(count)
        decisions = []
        for _ in range(TRIALS):
            shared = generator.normal(size=count)  # what a seed does to both variants
            one, other = (log_normal(generator, count, shared=shared) for _ in range(2))
            decisions.append(below("x", one, other).decide())
        assert share_decided(decisions) <= 0.07

    @pytest.mark.parametrize("count", SEEDS)
    def test_groups_without_common_seeds_and_of_unequal_spread(self, count):
        generator = np.random.default_rng(count)
        decisions = [
            below(
                "x", log_normal(generator, count), by_seed(np.exp(0.9 * generator.normal(size=count)), 100)
            ).decide()
            for _ in range(TRIALS)
        ]
        assert share_decided(decisions) <= 0.07

    def test_heavy_tails(self):
        generator = np.random.default_rng(1)
        decisions = [
            below("x", by_seed(np.exp(generator.standard_t(3, size=5))), by_seed([1.0] * 5)).decide()
            for _ in range(TRIALS)
        ]
        assert share_decided(decisions) <= 0.07

    @pytest.mark.parametrize("count", SEEDS)
    def test_at_the_bound_of_a_ratio_neither_side_wins_more_often_than_it_may(self, count):
        generator = np.random.default_rng(count)
        decisions = [
            ratio("x", log_normal(generator, count, 1.25), by_seed([1.0] * count), most=1.25).decide()
            for _ in range(TRIALS)
        ]
        assert share_decided(decisions) <= 0.07

    @pytest.mark.parametrize("count", SEEDS)
    def test_with_a_large_effect_all_are_decided_and_right(self, count):
        generator = np.random.default_rng(count)
        decisions = [
            below(
                "x", log_normal(generator, count, spread=0.1), log_normal(generator, count, 9.0, 0.1)
            ).decide()
            for _ in range(100)
        ]
        assert decisions == [True] * 100
