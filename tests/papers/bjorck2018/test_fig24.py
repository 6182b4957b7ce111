"""Fig. 24's claims on made-up losses along the gradient."""

import math

import pytest
from chai_tables import join, without
from line_tables import line_rows

from normscope.papers.bjorck2018.cells.landscapes import loss_along_gradient
from normscope.papers.bjorck2018.fig24 import EXPERIMENT, fifth_step, first_step
from normscope.protocol import Scale, Verdict

NONE, BATCH = (0, 1e-6, 1e-5, 1e-4, 1e-3), (0, 1e-3, 1e-2, 0.1, 1.0)
DOWN_TO_THE_THIRD = (500.0, 400.0, 200.0, 600.0, 1e9)
"""Losses on the unnormalized network's line: the highest falling rate is 1e-5."""


def lines(
    none=DOWN_TO_THE_THIRD,
    batch=(2.5, 2.4, 2.0, 1.5, 3.0),
    steps=(1, 5),
    seeds=3,
    alphas=BATCH,
    **none_options,
):
    tables = []
    for seed in range(seeds):
        for step in steps:
            tables.append(
                line_rows(loss_along_gradient, none, NONE, seed, "none", 1e-4, step, **none_options)
            )
            found = line_rows(
                loss_along_gradient,
                batch,
                alphas,
                seed,
                "batch",
                0.1,
                step,
                norm_of_gradient=0.01 + seed / 1e5,
            )
            tables.append(found)
    return join(*tables)


def test_both_claims_hold_on_numbers_like_the_papers():
    claims = EXPERIMENT.claims(lines())
    assert [(claim.verdict, claim.seeds) for claim in claims] == [(Verdict.HOLDS, 3)] * 2
    for claim in claims:
        assert claim.measured["highest falling rate unnormalized"] == 1e-5
        assert claim.measured["highest falling rate BN"] == 0.1


def test_the_length_is_reported_as_contrary_where_bns_step_is_the_shorter():
    """‖g‖ is 100 and 0.01."""
    claim = first_step(lines())
    assert claim.measured["its length α‖g‖ unnormalized"] == pytest.approx(1e-3)
    assert claim.measured["length BN / unnormalized"] == pytest.approx(1, rel=1e-2)
    assert "contrary" not in claim.reason
    shorter = first_step(lines(norm_of_gradient=1000.0))
    assert shorter.measured["length BN / unnormalized"] == pytest.approx(0.1, rel=1e-2)
    assert "contrary: BN's step is the shorter in the space of weights, 0.1× the other" in shorter.reason


@pytest.mark.parametrize(
    ("alphas", "verdict"), [((0, 1.1e-4, 1), "holds"), ((0, 0.9e-4, 1), "does not hold")]
)
def test_bns_rate_must_be_ten_times_higher(alphas, verdict):
    assert first_step(lines(batch=(2.5, 2.4, 3.0), alphas=alphas)).verdict == verdict


def test_rates_that_differ_by_seed_leave_it_undecided():
    tables = [lines(seeds=3)]
    for seed, alpha in enumerate((2e-5, 1e-4, 2e-3)):
        rows = line_rows(loss_along_gradient, (2.5, 2.4, 3.0), (0, alpha, 1), seed, "batch", 0.1, 1)
        tables.append(rows)
    table = join(without(tables[0], norm="batch", at_step=1), *tables[1:])
    assert first_step(table).verdict is Verdict.UNDECIDED


def test_a_flat_loss_does_not_fall():
    """With BN the loss stays as it is to the last digit."""
    flat = lines(batch=(2.5,) * 5, alphas=(0, 1e-5, 1e-3, 0.1, 1))
    assert first_step(flat).verdict is Verdict.FAILS


@pytest.mark.parametrize("rest", [(600.0, math.inf, 2.3), (400.0, 400.0, 400.0), (450.0, 440.0, 300.0)])
def test_a_loss_that_is_flat_or_rises_does_not_fall_though_it_is_below_the_start_or_falls_again(rest):
    """An unnormalized network that has died has the flat loss of a guess."""
    claim = first_step(lines(none=(500.0, 400.0, *rest)))
    assert claim.measured["highest falling rate unnormalized"] == 1e-6


def test_an_unnormalized_loss_that_never_falls_counts_as_falling_at_the_lowest_rate():
    claim = first_step(lines(none=(500.0, 501.0, 502.0, 503.0, 504.0)))
    assert claim.measured["highest falling rate unnormalized"] == 1e-6


def test_a_loss_that_falls_up_to_the_highest_rate_bounds_only_bns_rate_from_below():
    claim = first_step(lines(batch=(2.5, 2.4, 2.3, 2.2, 2.1)))
    assert claim.verdict is Verdict.HOLDS
    assert "with BN, some seed's loss falls up to the highest rate" in claim.reason
    claim = first_step(lines(none=(500.0, 400.0, 300.0, 200.0, 100.0)))
    assert claim.verdict is Verdict.NOT_JUDGED
    assert "falls up to the highest rate that was measured" in claim.reason


@pytest.mark.parametrize(
    "dead",
    [
        {"none": (2.302, 2.3, 2.2, 2.3, 2.4)},
        {"none": (math.inf, 400.0, 200.0, 600.0, 1e9)},
        {"none": (math.nan, 400.0, 200.0, 600.0, 1e9)},
        {"stem": 0.0},
    ],
)
def test_the_fifth_step_is_judged_only_where_the_unnormalized_run_is_alive(dead):
    claim = fifth_step(lines(**dead))
    assert claim.verdict is Verdict.NOT_JUDGED
    assert "the unnormalized run of 0 of 3 seeds is alive" in claim.reason


def test_the_loss_of_a_guess_is_that_of_the_datas_classes():
    assert fifth_step(lines(none=(2.0, 1.9, 1.8, 3.0, 3.0), classes=4)).verdict is Verdict.HOLDS


def test_seeds_whose_run_is_dead_or_diverged_are_left_out():
    table = join(lines(), lines(none=(2.3, 2.2, 2.1, 2.0, 1.9), seeds=4)[lambda rows: rows["seed"] == 3])
    claim = fifth_step(table)
    assert (claim.verdict, claim.seeds) == (Verdict.HOLDS, 3)
    without_line = (table["norm"] == "none") & (table["at_step"] == 5) & (table["seed"] == 0)
    claim = fifth_step(table[~without_line | (table["measure"] == "nothing")])
    assert claim.seeds == 2


def test_a_scale_that_does_not_look_at_the_fifth_batch_says_so():
    claim = fifth_step(lines(steps=(1,)))
    assert claim.verdict is Verdict.NOT_JUDGED
    assert claim.reason == "the batch of step 5 was not looked at"


def test_every_line_begins_at_the_start_and_is_measured_in_float64():
    for scale in Scale:
        profile = EXPERIMENT.profile(scale)
        cells = [cell.config for cell in EXPERIMENT.list_cells(profile)]
        assert all(cell.alphas[0] == 0 and cell.double for cell in cells)
        assert {(cell.norm, cell.rate) for cell in cells} == {("none", 1e-4), ("batch", 0.1)}


def test_the_figure_has_a_panel_a_batch_and_a_line_a_network():
    panels = EXPERIMENT.figure(lines()).axes
    for axes in panels:
        found = {line.get_label(): line for line in axes.lines if line.get_label() in ("unnormalized", "BN")}
        assert found["unnormalized"].get_xdata().tolist() == list(NONE[1:])
        assert found["unnormalized"].get_ydata().tolist() == pytest.approx([0.8, 0.4, 1.2, 2e6])


def test_a_loss_that_falls_at_none_of_bns_rates_decides_only_if_they_begin_low_enough():
    """The unnormalized limit is 1e-5: below 1e-4, BN's limit misses ten times that, above it may be anywhere."""
    low, high = (lines(batch=(2.5, 2.6, 3.0), alphas=(0, lowest, 1)) for lowest in (0.9e-4, 1.1e-4))
    assert first_step(low).verdict is Verdict.FAILS
    claim = first_step(high)
    assert claim.verdict is Verdict.NOT_JUDGED
    assert "falls at none of the rates that were measured" in claim.reason


def test_a_batch_that_was_not_looked_at_has_no_panel():
    assert [axes.get_title() for axes in EXPERIMENT.figure(lines(steps=(1,))).axes] == ["first batch"]


@pytest.mark.parametrize(
    "missing", [{"measure": "classes"}, {"measure": "loss"}, {"index": 0}, {"measure": "gradient_norm"}]
)
def test_a_table_in_which_rows_are_missing_decides_nothing_and_breaks_nothing(missing):
    table = without(lines(), **missing)
    assert [claim.holds for claim in EXPERIMENT.claims(table)] == [None, None]


def test_lines_of_one_point_have_no_rate_up_to_which_the_loss_falls():
    table = lines()
    table = table[table["index"].fillna(0) == 0]
    assert [claim.holds for claim in EXPERIMENT.claims(table)] == [None, None]
