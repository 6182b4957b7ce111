"""Fig. 5: the search for the diverging update, and the claim on made-up losses."""

import math

import pytest
from chai_tables import join
from line_tables import line_rows, search_rows

from normscope.papers.bjorck2018.cells.diverging import FirstSteps
from normscope.papers.bjorck2018.cells.landscapes import loss_along_gradient
from normscope.papers.bjorck2018.fig5 import EXPERIMENT, explodes
from normscope.papers.bjorck2018.readings.landscapes import updates
from normscope.protocol import Scale, Verdict, empty_table

FOUND = {0.003: 2, 0.001: 2, 3e-4: 2, 1e-4: None}
"""Steps at which a run at each rate exceeded the limit."""

POINTS = (0, 3e-7, 1e-4, 3e-4)


def table(end=1e5, lowest=100.0, first=499.0, seeds=3):
    tables = []
    for seed in range(seeds):
        losses = [500.0, first + seed / 10, lowest * (1 + seed / 1000), end * (1 + seed / 1000)]
        tables += [search_rows(FOUND, seed), line_rows(loss_along_gradient, losses, POINTS, seed)]
    return join(*tables)


def test_the_claim_holds_on_numbers_like_the_papers():
    claim = explodes(table())
    assert (claim.verdict, claim.seeds) == (Verdict.HOLDS, 3)
    assert claim.measured["rate"] == 3e-4
    assert claim.measured["loss at the end / lowest on the way"] == pytest.approx(1000)
    assert claim.reason == "the smallest diverging rates are 0.0003 (3) (number of seeds), in update 1"


@pytest.mark.parametrize(
    ("end", "verdict"), [(1010.0, "holds"), (990.0, "does not hold"), (math.inf, "holds")]
)
def test_the_loss_must_grow_ten_times_from_its_minimum(end, verdict):
    assert explodes(table(end=end)).verdict == verdict


def test_a_loss_that_is_not_a_number_has_exploded():
    assert explodes(table(end=math.nan)).verdict is Verdict.HOLDS


def test_the_minimum_may_be_at_the_origin_and_then_the_tangent_decides():
    """A loss that rises from the start on explodes, too, but the origin indicates it."""
    claim = explodes(table(lowest=600.0, first=501.0))
    assert claim.verdict is Verdict.FAILS
    assert claim.deciding.name == "loss at the first point / at the origin"


def test_the_claim_is_undecided_where_seeds_differ():
    tables = [
        join(
            search_rows(FOUND, seed), line_rows(loss_along_gradient, [500.0, 499.0, 100.0, end], POINTS, seed)
        )
        for seed, end in enumerate((300.0, 1e4, 3e3))
    ]
    assert explodes(join(*tables)).verdict is Verdict.UNDECIDED


def test_without_divergence_there_is_nothing_to_judge():
    claim = explodes(search_rows({1e-4: None}))
    assert claim.verdict is Verdict.NOT_JUDGED


class TestTheSearch:
    def cells(self, table, scale=Scale.LAPTOP):
        profile = EXPERIMENT.profile(scale)
        return [cell.config for cell in EXPERIMENT.cells_of(profile, table)]

    def test_begins_with_the_highest_rates_of_every_seed(self):
        wanted = {(seed, rate) for seed in range(8) for rate in (0.003, 0.001, 3e-4, 1e-4)}
        assert {(one.seed, one.rate) for one in self.cells(empty_table())} == wanted

    def test_goes_down_until_a_rate_does_not_diverge(self):
        cells = self.cells(search_rows({0.003: 2, 0.001: 3, 3e-4: 2, 1e-4: 4}, seed=1))
        assert {one.rate for one in cells if one.seed == 1} == {0.003, 0.001, 3e-4, 1e-4, 3e-5}
        assert {one.rate for one in cells if one.seed == 0} == {0.003, 0.001, 3e-4, 1e-4}

    def test_ends_with_the_line_along_the_update_before_the_loss_that_was_too_large(self):
        cells = [
            one
            for one in self.cells(search_rows({0.003: 2, 0.001: 5, 3e-4: None, 1e-4: None}))
            if one.seed == 0
        ]
        runs, (line,) = cells[:-1], cells[-1:]
        assert all(isinstance(run, FirstSteps) for run in runs)
        assert (line.rate, line.at_step, line.norm) == (0.001, 4, "none")
        assert line.alphas[0] == 0
        assert line.alphas[-1] == 0.001
        assert not line.double

    def test_goes_on_to_the_lowest_rate_of_the_grid_and_says_if_even_that_diverges(self):
        rates = EXPERIMENT.profile(Scale.QUICK).rates
        found = search_rows(dict.fromkeys(rates, 2))
        cells = [one for one in self.cells(found, Scale.QUICK) if one.seed == 0]
        assert cells[-1].rate == min(rates)
        losses = line_rows(loss_along_gradient, [500, 499, 100, 1e5], POINTS, rate=min(rates))
        assert (
            "; 1 diverged at every rate that was tried"
            in explodes(join(found, losses, table(seeds=3)[lambda rows: rows["seed"] > 0])).reason
        )

    def test_asks_for_no_line_where_nothing_diverged_or_no_update_was_made(self):
        for steps in ((None, None, None, None), (1, 1, None, None)):
            found = search_rows(dict(zip((0.003, 0.001, 3e-4, 1e-4), steps, strict=True)))
            cells = [one for one in self.cells(found) if one.seed == 0]
            assert all(isinstance(one, FirstSteps) for one in cells)

    def test_reads_the_lowest_diverging_rate_and_its_update(self):
        found = join(search_rows({0.003: 2, 0.001: 4, 3e-4: None}), search_rows({0.003: None}, seed=1))
        assert updates(found).to_numpy().tolist() == [[0, 0.001, 3]]


def test_the_figure_has_a_line_a_seed_that_ends_where_the_loss_is_not_finite():
    slower = line_rows(loss_along_gradient, [5, 4, 3, math.nan], POINTS, 2, rate=1e-4)
    (axes,) = EXPERIMENT.figure(join(table(seeds=2), search_rows(FOUND, 2), slower)).axes
    lines = [line for line in axes.lines if len(line.get_xdata()) == 4]
    assert [line.get_label() for line in lines][::2] == ["α = 0.0003", "α = 0.0001"]
    assert lines[0].get_color() == lines[1].get_color() != lines[2].get_color()
    assert lines[0].get_xdata().tolist() == pytest.approx([0, 0.001, 1 / 3, 1])
    assert math.isnan(lines[2].get_ydata()[-1])
