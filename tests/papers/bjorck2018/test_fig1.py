"""Fig. 1's claims on made-up runs."""

import math

import pytest
from resnet_tables import join, run_rows

from normscope.papers.bjorck2018.fig1 import (
    EXPERIMENT,
    gap_shrinks,
    high_rate_best,
    low_rate_no_better,
    low_rate_overfits,
)
from normscope.papers.bjorck2018.readings.training import at_end
from normscope.protocol import Scale, Verdict, empty_table

PAPER = {
    ("batch", 0.1): {"test": 0.07, "train": 0.05, "loss": 0.10},
    ("batch", 0.003): {"test": 0.10, "train": 0.04, "loss": 0.05},
    ("batch", 0.0001): {"test": 0.16, "train": 0.03, "loss": 0.02},
    ("none", 0.0001): {"test": 0.15, "train": 0.05, "loss": 0.30},
}


def runs(changes=None, **options):
    numbers = {run: {**numbers, **options, **(changes or {}).get(run, {})} for run, numbers in PAPER.items()}
    return join(*(run_rows(*run, **one) for run, one in numbers.items()))


def test_every_claim_holds_on_the_papers_numbers():
    claims = EXPERIMENT.claims(runs())
    assert [claim.verdict for claim in claims] == [Verdict.HOLDS] * 4
    assert {claim.seeds for claim in claims} == {3}


@pytest.mark.parametrize(("error", "verdict"), [(0.121, Verdict.HOLDS), (0.119, Verdict.FAILS)])
def test_bn_at_the_low_rate_is_no_better_up_to_a_factor_of_a_quarter(error, verdict):
    assert low_rate_no_better(runs({("batch", 0.0001): {"test": error}})).verdict is verdict


def test_bn_at_the_low_rate_overfits_only_with_a_lower_training_loss():
    assert low_rate_overfits(runs({("batch", 0.0001): {"loss": 0.31}})).verdict is Verdict.FAILS


@pytest.mark.parametrize("run", [run for run in PAPER if run != ("batch", 0.1)])
def test_the_highest_rate_is_not_the_best_when_another_run_ends_lower(run):
    assert high_rate_best(runs({run: {"test": 0.06}})).verdict is Verdict.FAILS


def test_the_gap_must_shrink_from_rate_to_rate():
    assert gap_shrinks(runs({("batch", 0.1): {"test": 0.2}})).verdict is Verdict.FAILS
    assert gap_shrinks(runs({("batch", 0.003): {"test": 0.3}})).verdict is Verdict.FAILS


def test_runs_that_still_learn_when_their_rate_is_lowered_are_not_judged():
    for claim in EXPERIMENT.claims(runs(falls=0.1)):
        assert claim.verdict is Verdict.NOT_JUDGED
        assert "still falls by 19 %" in claim.reason


def test_runs_that_have_not_learnt_their_images_are_not_judged():
    for claim in EXPERIMENT.claims(runs(train=0.6)):
        assert claim.verdict is Verdict.NOT_JUDGED
        assert "60 % of the training images are still wrong" in claim.reason


def test_a_claim_speaks_only_of_the_runs_that_it_compares():
    table = runs({("batch", 0.003): {"falls": 0.2}})
    verdicts = [claim.verdict for claim in EXPERIMENT.claims(table)]
    assert verdicts == [Verdict.HOLDS, Verdict.HOLDS, Verdict.NOT_JUDGED, Verdict.NOT_JUDGED]


def test_a_diverged_run_counts_as_chance_error_and_an_infinite_loss():
    table = run_rows("batch", 0.1, until=3)
    assert at_end(table, "validation_error")["value"].tolist() == [0.9] * 3
    assert at_end(table, "train_loss")["value"].tolist() == [math.inf] * 3


def test_the_figure_has_a_line_for_each_run_in_both_panels():
    training, test = EXPERIMENT.figure(runs()).axes
    labels = {"BN, 0.1", "BN, 0.003", "BN, 0.0001", "unnormalized, 0.0001"}
    for axes in (training, test):
        assert labels <= {line.get_label() for line in axes.lines}


def test_the_papers_runs_have_the_papers_epochs():
    cells = EXPERIMENT.cells(Scale.PAPER, empty_table())
    lengths = {(cell.config.norm, cell.config.rate): cell.config.epochs for cell in cells}
    assert lengths == {
        ("batch", 0.1): 165,
        ("batch", 0.003): 1320,
        ("batch", 1e-4): 2400,
        ("none", 1e-4): 2400,
    }
