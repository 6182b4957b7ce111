"""How rates and lists are read, and what is refused in one sentence."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normscope.errors import InputError
from normscope.sweep.parsing import read_rates, split_list


def test_a_range_is_spaced_in_equal_ratios_and_comes_out_clean():
    rates = read_rates("0.01:10:7")
    np.testing.assert_allclose(rates, np.geomspace(0.01, 10, 7), rtol=1e-11)
    assert (rates[0], rates[2], rates[4], rates[6]) == (0.01, 0.1, 1.0, 10.0)


@settings(deadline=None)
@given(low=st.floats(1e-6, 1e3), factor=st.floats(1.001, 1e6), count=st.integers(2, 40))
def test_a_range_keeps_its_ends_rises_and_has_as_many_rates_as_asked(low, factor, count):
    high = low * factor
    rates = read_rates(f"{low!r}:{high!r}:{count}")
    assert (rates[0], rates[-1], len(rates)) == (low, high, count)
    ratios = np.diff(np.log(rates))
    np.testing.assert_allclose(ratios, math.log(high / low) / (count - 1), rtol=1e-4, atol=1e-10)


@pytest.mark.parametrize(
    ("words", "rates"),
    [
        (1, (1.0,)),
        ("0.1, 1e-2", (0.1, 0.01)),
        ([0.1, "0.01:1:3"], (0.1, 0.01, 1.0)),
        (["0.5,0.25", 0.5], (0.5, 0.25)),
        (np.array([0.1, 0.2]), (0.1, 0.2)),
    ],
    ids=str,
)
def test_numbers_and_lists_are_read_and_each_rate_is_kept_once(words, rates):
    assert read_rates(words) == rates


@pytest.mark.parametrize(
    "words",
    [
        "a:b", "a:b:c", "0.01:10", "0.01:10:1", "0.01:10:-3", "0.01:10:2.5", "10:0.01:7", "1:1:3", "0:10:3",
        "0.01:inf:3", "nan:1:3", "0.01:10:7:2", "0.01:10:1000000000", "0.01:10:٣", ":", "", "0.1,", "0", "-0.1",
        "nan", "inf", "1e400", "zero", 0, True, None, [], [None], [[0.1]],
    ],
    ids=repr,
)  # fmt: skip
def test_rates_that_make_no_sense_are_refused_in_a_sentence(words):
    with pytest.raises(InputError, match=r"^lr .*\.$") as caught:
        read_rates(words)
    assert "\n" not in str(caught.value)


def test_lists_are_split_outside_brackets_and_quotes():
    assert split_list("batch, lp(p=1,centered=false),a:B(s='x,y',t=[1,2],u={3,4},v=5)") == [
        "batch",
        "lp(p=1,centered=false)",
        "a:B(s='x,y',t=[1,2],u={3,4},v=5)",
    ]
