"""Tables 2 and 3: their searches and claims, on made-up trials."""

import pytest
from resnet_tables import join, run_rows, trial_rows

from normscope.papers.bjorck2018 import table2, table3
from normscope.papers.bjorck2018.parts import ALL, BOTH, BOTH_AND_MORE, MEAN, NONE, PARTS, VARIANCE
from normscope.papers.bjorck2018.profiles.training import GRID
from normscope.protocol import Scale, Verdict, empty_table

RATES = {NONE: 1e-4, MEAN: 0.003, VARIANCE: 0.01, **dict.fromkeys(BOTH_AND_MORE, 0.1)}
DEPTHS = {20: 0.3, 32: 0.1, 56: 0.01, 110: 1e-4}


def parts(changes=None, depth=110):
    return join(
        *(trial_rows(norm, rate, GRID, depth=depth) for norm, rate in (RATES | (changes or {})).items())
    )


def depths(changes=None):
    return join(
        *(trial_rows("none", rate, GRID, depth=depth) for depth, rate in (DEPTHS | (changes or {})).items())
    )


def others(warm=0.01, alternating=0.01, normed=3.0):
    return join(
        depths(),
        trial_rows("none", warm, GRID, depth=110, warm_steps=390),
        trial_rows("alternating", alternating, GRID, depth=110),
        trial_rows("batch", normed, GRID, depth=110),
    )


class TestSearch:
    """Of Table 3 at the laptop scale, for one network."""

    def cells_of(self, table, depth, seed=0):
        cells = table3.EXPERIMENT.cells(Scale.LAPTOP, table)
        return [cell.config.rate for cell in cells if (cell.config.depth, cell.config.seed) == (depth, seed)]

    def test_begins_at_the_highest_rate(self):
        assert self.cells_of(empty_table(), 20) == [10.0]

    def test_goes_down_while_trials_fail(self):
        failed = trial_rows("none", 3.0, GRID, fails="at_chance").query("rate == 10")
        assert self.cells_of(failed, 20) == [10.0, 3.0]

    def test_ends_at_a_rate_that_survives(self):
        assert self.cells_of(trial_rows("none", 1.0, GRID), 20) == [10.0, 3.0, 1.0]

    def test_is_a_search_of_its_own_for_each_seed(self):
        table = trial_rows("none", [10.0, 1.0, 0.1], GRID)
        assert [self.cells_of(table, 20, seed)[-1] for seed in range(3)] == [10.0, 1.0, 0.1]

    def test_ends_at_the_profiles_lowest_rate(self):
        table = trial_rows("none", 1e-4, GRID, depth=110)
        assert self.cells_of(table, 110)[-1] == 0.001


class TestTable3:
    def test_every_claim_holds_on_the_papers_numbers(self):
        claims = table3.EXPERIMENT.claims(others())
        assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 5

    @pytest.mark.parametrize(("shallow", "deep"), [(20, 32), (32, 56)])
    def test_depth_fails_when_a_deeper_network_bears_as_much(self, shallow, deep):
        assert table3.depth(depths({deep: DEPTHS[shallow]})).verdict is Verdict.FAILS

    def test_the_deepest_network_must_bear_less_than_that_of_56_layers(self):
        assert table3.deepest(depths({110: DEPTHS[56]})).verdict is Verdict.FAILS
        assert table3.deepest(depths({56: DEPTHS[110]})).verdict is Verdict.FAILS

    def test_a_network_that_survives_no_rate_of_its_search_bears_less_than_one_that_survives(self):
        deepest = trial_rows("none", 1e-4, GRID, depth=110).query("rate >= 0.001")
        table = join(
            *(trial_rows("none", DEPTHS[depth], GRID, depth=depth) for depth in (20, 32, 56)), deepest
        )
        claim = table3.deepest(table)
        assert claim.verdict is Verdict.HOLDS
        assert "below 0.001, the lowest rate tried, of unnormalized, 110" in claim.reason

    def test_nothing_is_said_below_a_network_of_which_no_rate_is_known_to_be_stable(self):
        unknown = trial_rows("none", 1e-4, GRID, depth=56).query("rate >= 0.01")
        table = join(
            *(trial_rows("none", DEPTHS[depth], GRID, depth=depth) for depth in (20, 32, 110)), unknown
        )
        claim = table3.depth(table)
        assert claim.verdict is Verdict.HOLDS
        assert "unnormalized, 56" in claim.reason
        assert "unnormalized, 110" not in claim.reason
        claim = table3.deepest(table)
        assert claim.verdict is Verdict.NOT_JUDGED
        assert "no rate that was tried is stable for unnormalized, 56" in claim.reason

    @pytest.mark.parametrize("rate", [1e-4, 3.0])
    def test_a_warm_start_must_lie_between(self, rate):
        assert table3.warm_start(others(warm=rate)).verdict is Verdict.FAILS

    @pytest.mark.parametrize("rate", [1e-4, 10.0])
    def test_alternating_moments_must_lie_between(self, rate):
        assert table3.alternating(others(alternating=rate)).verdict is Verdict.FAILS

    @pytest.mark.parametrize("rate", [1.0, 10.0])
    def test_bn_must_survive_3_and_not_10(self, rate):
        assert table3.bn_limit(others(normed=rate)).verdict is Verdict.FAILS

    def test_what_was_not_tried_is_not_judged(self):
        verdicts = {claim.id: claim for claim in table3.EXPERIMENT.claims(depths())}
        assert verdicts["depth"].verdict is Verdict.HOLDS
        for name in ("warm-start", "alternating", "bn-limit"):
            assert verdicts[name].verdict is Verdict.NOT_JUDGED
            assert "not tried at this scale" in verdicts[name].reason

    def test_the_figure_has_a_row_for_each_setting_from_shallow_to_deep(self):
        (axes,) = table3.EXPERIMENT.figure(others()).axes
        labels = [text.get_text() for text in axes.get_yticklabels()]
        assert labels[:4] == [f"unnormalized, {depth}" for depth in DEPTHS]
        assert len(labels) == 7


class TestTable2:
    def test_every_claim_holds_on_the_papers_numbers(self):
        ends = join(run_rows(BOTH, 0.1, test=0.076), run_rows(ALL, 0.1, test=0.070))
        claims = table2.EXPERIMENT.claims(join(parts(), ends))
        assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 3

    @pytest.mark.parametrize("low", [NONE, MEAN])
    @pytest.mark.parametrize("high", [VARIANCE, BOTH, ALL])
    def test_the_variance_matters_only_where_all_that_have_it_bear_more(self, low, high):
        assert table2.variance_matters(parts({low: RATES[high]}, depth=20)).verdict is Verdict.FAILS

    @pytest.mark.parametrize(("low", "high"), [(NONE, MEAN), (MEAN, VARIANCE), (VARIANCE, BOTH_AND_MORE[1])])
    def test_the_order_fails_where_two_neighbours_are_equal(self, low, high):
        assert table2.order(parts({low: RATES[high]})).verdict is Verdict.FAILS

    @pytest.mark.parametrize("error", [0.0745, 0.0782])
    def test_the_affine_part_is_worth_neither_less_nor_more(self, error):
        ends = join(run_rows(BOTH, 0.1, test=error), run_rows(ALL, 0.1, test=0.070))
        assert table2.affine_worth(join(parts(), ends)).verdict is Verdict.FAILS

    def test_order_and_affine_part_are_judged_at_the_papers_depth_only(self):
        verdicts = {claim.id: claim for claim in table2.EXPERIMENT.claims(parts(depth=20))}
        assert verdicts["variance-matters"].verdict is Verdict.HOLDS
        for name in ("order", "affine-worth"):
            assert verdicts[name].verdict is Verdict.NOT_JUDGED
            assert "20 layers" in verdicts[name].reason

    def test_at_the_papers_scale_networks_are_trained_on_at_their_median_stable_rate(self):
        table = join(*(trial_rows(norm, rate, GRID, depth=110, seeds=5) for norm, rate in RATES.items()))
        cells = table2.EXPERIMENT.cells(Scale.PAPER, table)
        trained = {
            (c.config.norm, c.config.rate): c.config.epochs
            for c in cells
            if c.name == "bjorck2018.train_resnet"
        }
        assert trained == {
            (norm, rate): 165 * {NONE: 16, MEAN: 2, VARIANCE: 2}.get(norm, 1) for norm, rate in RATES.items()
        }

    def test_nothing_is_trained_on_before_every_search_is_over(self):
        table = trial_rows(NONE, 0.1, GRID, depth=110, seeds=5)
        cells = table2.EXPERIMENT.cells(Scale.PAPER, table)
        assert {cell.name for cell in cells} == {"bjorck2018.try_rate"}

    def test_the_figure_has_a_row_and_a_line_for_each_part(self):
        outcomes, losses = table2.EXPERIMENT.figure(parts(depth=20)).axes
        names = list(PARTS.values())
        assert [text.get_text() for text in outcomes.get_yticklabels()] == names
        assert [line.get_label() for line in losses.lines] == names


@pytest.mark.parametrize("norm", [NONE, MEAN, VARIANCE, BOTH, ALL])
def test_a_part_of_bn_without_a_finished_run_is_named_by_the_claims_that_need_it(norm):
    table = parts()
    for claim in (table2.variance_matters, table2.order):
        found = claim(table[table["norm"] != norm])
        assert (found.verdict, found.reason) == (Verdict.NOT_JUDGED, f"no finished run of {norm}")
