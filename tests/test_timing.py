import time

import pytest
import torch
from torch import nn

from normscope import timing
from normscope.errors import InputError

SMALL = (4, 2, 6, 6)


def test_what_takes_longer_has_the_longer_median():
    seconds = timing.median_seconds({"short": lambda: None, "long": lambda: time.sleep(0.005)}, budget=0.01)
    assert seconds["long"] >= 0.005 > seconds["short"]


def test_every_contender_is_timed_equally_often_and_at_least_fifteen_times():
    calls = {"a": 0, "b": 0}

    def count(name):
        calls[name] += 1

    timing.median_seconds({name: lambda name=name: count(name) for name in calls}, budget=0.0)
    assert calls["a"] == calls["b"] >= 15


def test_a_norm_that_does_the_work_twice_is_slower():
    class Twice(nn.BatchNorm2d):
        def forward(self, x):
            return super().forward(super().forward(super().forward(x)))

    ratios, native = timing.norm_ratios(
        {"twice": Twice, "native": nn.BatchNorm2d}, (32, 8, 24, 24), budget=0.3
    )
    assert ratios["twice"] > ratios["native"] > 0
    assert native > 0


def test_a_norm_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"bad does not accept an input of shape \(4, 2, 6, 6\)"):
        timing.norm_ratios({"bad": lambda channels: nn.BatchNorm1d(channels)}, SMALL)
    with pytest.raises(InputError, match="does not keep the input's shape"):
        timing.norm_ratios({"bad": lambda channels: nn.Flatten()}, SMALL)


def test_the_number_of_threads_is_restored():
    before = torch.get_num_threads()
    with timing.threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
