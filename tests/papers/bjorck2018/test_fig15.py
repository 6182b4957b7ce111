"""Figs. 15 and 16: their claims on made-up gradients, trials and runs."""

import pytest
from resnet_tables import gradient_rows, join, run_rows, trial_rows

from normscope.papers.bjorck2018.fig15 import EXPERIMENT, between, gradients_scaled, higher_rate
from normscope.papers.bjorck2018.profiles.training import GRID
from normscope.protocol import Scale, Verdict, empty_table

ERRORS = {("none", "after"): 0.40, ("batch", "top"): 0.30, ("batch", "after"): 0.20}


def gradients(top=1e-4, none=1.0, bn=1e-3):
    return gradient_rows({("none", "after"): none, ("batch", "top"): top, ("batch", "after"): bn})


def trials(none=0.1, top=0.3):
    return join(trial_rows("none", none, GRID), trial_rows("batch", top, GRID, place="top"))


def runs(changes=None):
    errors = ERRORS | (changes or {})
    return join(
        *(run_rows(norm, 0.1, test=error, place=place) for (norm, place), error in errors.items()),
        run_rows("none", 0.03, test=0.5),
        run_rows("batch", 0.03, test=0.5, place="top"),
    )


def test_every_claim_holds_on_the_papers_numbers():
    claims = EXPERIMENT.claims(join(gradients(), trials(), runs()))
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 3


@pytest.mark.parametrize(("layers", "verdict"), [(1, Verdict.HOLDS), (2, Verdict.FAILS)])
def test_the_gradients_must_be_nearer_at_95_percent_of_20_layers(layers, verdict):
    table = gradients(top=lambda number: 1e4 if number <= layers else 1e-3)
    assert gradients_scaled(table).verdict is verdict


def test_nearer_is_meant_in_ratios_so_smaller_gradients_are_as_far_as_larger_ones():
    assert gradients_scaled(gradients(top=1e-7)).verdict is Verdict.FAILS


@pytest.mark.parametrize("rate", [0.1, 0.03])
def test_the_rate_must_be_higher(rate):
    assert higher_rate(trials(top=rate)).verdict is Verdict.FAILS


@pytest.mark.parametrize("error", [0.19, 0.41])
def test_the_error_must_lie_between(error):
    assert between(runs({("batch", "top"): error})).verdict is Verdict.FAILS


def test_the_best_of_a_networks_rates_counts():
    table = join(runs({("none", "after"): 0.6}), gradients(), trials())
    assert between(table).measured["error unnormalized"] == pytest.approx(0.5, rel=0.01)


def test_the_first_cells_are_gradients_runs_and_the_highest_rates():
    cells = EXPERIMENT.cells(Scale.LAPTOP, empty_table())
    by_name = {}
    for cell in cells:
        by_name.setdefault(cell.name, []).append(cell.config)
    assert {(one.norm, one.place, one.depth) for one in by_name["bjorck2018.layer_gradients"]} == {
        ("none", "after", 110), ("batch", "top", 110), ("batch", "after", 110),
    }  # fmt: skip
    assert {(one.norm, one.place, one.rate) for one in by_name["bjorck2018.try_rate"]} == {
        ("none", "after", 10.0), ("batch", "top", 10.0),
    }  # fmt: skip
    assert len(by_name["bjorck2018.train_resnet"]) == 3 * 3


def test_the_figure_has_a_line_a_network_in_each_panel():
    figure = EXPERIMENT.figure(join(gradients(), trials(), runs()))
    assert [len(axes.lines) for axes in figure.axes] == [3, 4, 4]  # and chance
