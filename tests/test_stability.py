"""The highest stable rate, by the definition of Bjorck et al. 2018."""

import itertools
import math

import pytest
import torch
from torch import nn

from normscope import stability
from normscope.errors import InputError
from normscope.stability import Outcome, highest_stable_rate, judge, next_rate
from normscope.training import Divergence

CHANCE = math.log(10)


def test_the_limit_is_1000_or_ten_times_the_first_loss_where_that_is_larger():
    limit = stability.divergence_limit()
    assert [limit.of(first) for first in (2.3, 100.0, 500.0, math.nan)] == [1e3, 1e3, 5e3, 1e3]


def test_a_run_whose_loss_exceeded_the_limit_exceeded_it_whatever_came_before():
    assert judge([0.1], Divergence(2, math.inf), classes=10) is Outcome.EXCEEDED


@pytest.mark.parametrize(("loss", "outcome"), [(0.97, Outcome.SURVIVED), (0.99, Outcome.AT_CHANCE)])
def test_a_run_survives_when_its_last_losses_are_below_chance(loss, outcome):
    assert judge([9.0] * 180 + [loss * CHANCE] * 20, None, classes=10) is outcome


def test_a_run_that_was_better_than_chance_and_fell_back_ended_at_chance():
    assert judge([1.0] * 180 + [CHANCE] * 20, None, classes=10) is Outcome.AT_CHANCE


def test_chance_depends_on_the_number_of_classes():
    assert judge([CHANCE] * 200, None, classes=100) is Outcome.SURVIVED


def test_a_run_of_fewer_than_200_steps_cannot_be_compared_with_chance():
    with pytest.raises(InputError, match="199 steps"):
        judge([1.0] * 199, None, classes=10)


def test_the_search_goes_down_and_ends_at_the_first_survivor():
    grid = [0.1, 10.0, 1.0]
    outcomes = {}
    tried = []
    while (rate := next_rate(outcomes, grid)) is not None:
        tried.append(rate)
        outcomes[rate] = Outcome.SURVIVED if rate < 5 else Outcome.AT_CHANCE
    assert tried == [10.0, 1.0]
    assert stability.highest(outcomes) == 1.0


def test_a_grid_without_a_survivor_has_the_highest_rate_0():
    outcomes = {1.0: Outcome.EXCEEDED, 0.1: Outcome.AT_CHANCE}
    assert next_rate(outcomes, [1.0, 0.1]) is None
    assert stability.highest(outcomes) == 0.0


def logistic(rates, steps=200):
    """A linear classifier of two separable classes, on an input of scale 10: stable below about 2/(10²/4)."""
    x = 10 * torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    y = torch.tensor([0, 1, 0, 0])

    def make():
        model = nn.Linear(1, 2, bias=False)
        nn.init.zeros_(model.weight)
        return model

    return highest_stable_rate(make, lambda: itertools.repeat([(x, y)]), rates, classes=2, steps=steps)


def test_a_models_highest_stable_rate_is_found_by_training_it_anew_at_each_rate():
    found = logistic([1e6, 0.01, 0.001])
    assert found.rate == 0.01
    assert found.outcomes == {1e6: Outcome.EXCEEDED, 0.01: Outcome.SURVIVED}


def test_a_model_in_place_of_what_makes_one_is_refused():
    with pytest.raises(InputError, match=r"must return a torch\.nn\.Module, not a Tensor"):
        highest_stable_rate(lambda: torch.zeros(1), list, [0.1], classes=2)


@pytest.mark.parametrize(
    ("rates", "steps"), [([], 200), ([-1.0], 200), ([math.inf], 200), ([0.1], 100), (0.1, 200)]
)
def test_an_empty_grid_odd_rates_and_short_runs_are_refused(rates, steps):
    with pytest.raises(InputError):
        logistic(rates, steps)
