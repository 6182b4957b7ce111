import math

import pytest

from normscope.disk.values import is_number, is_text_list, is_text_mapping, is_whole


@pytest.mark.parametrize("value", [None, "a", {"a": "b"}, [1], ["a", None], 7, ["\ud800"]])
def test_a_list_of_texts_is_nothing_else(value):
    assert is_text_list([])
    assert is_text_list(["a", ""])
    assert not is_text_list(value)


@pytest.mark.parametrize("value", [None, "a", ["a"], {"a": 1}, {"a": None}, {"a": ["b"]}, {"\ud800": "a"}])
def test_a_mapping_to_texts_is_nothing_else(value):
    assert is_text_mapping({})
    assert is_text_mapping({"a": "b"})
    assert not is_text_mapping(value)


@pytest.mark.parametrize("value", [None, True, "1", math.nan, math.inf, -math.inf, 10**400, -(10**400), [1]])
def test_a_number_is_finite_and_fits_a_float(value):
    assert is_number(0)
    assert is_number(-1.5)
    assert is_number(10**300)
    assert not is_number(value)


@pytest.mark.parametrize("value", [None, True, 1.0, "1", -1, 2**63, 10**400])
def test_a_whole_number_fits_64_bits_and_is_large_enough(value):
    assert is_whole(0)
    assert is_whole(3, 3)
    assert not is_whole(2, 3)
    assert not is_whole(value)
