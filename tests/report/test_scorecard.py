import math

import pytest
from hostile import NUMBERS, row_of_number

from normscope.protocol import Verdict
from normscope.report.scorecard import as_number, deciding_number, measured_numbers, tally, verdict, wanted

HOLDS, FAILS, UNDECIDED, NOT_JUDGED = Verdict


@pytest.mark.parametrize("word", Verdict)
def test_the_verdict_of_a_row_is_its_word(word):
    assert verdict({"holds": word.holds, "verdict": str(word)}) is word


def test_a_row_written_before_there_were_verdicts_has_the_one_that_its_holds_says():
    assert [verdict({"holds": holds}) for holds in (True, False, None)] == [HOLDS, FAILS, NOT_JUDGED]


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        (
            [HOLDS, FAILS, UNDECIDED, NOT_JUDGED],
            ["1 holds", "1 does not hold", "1 undecided", "1 not judged"],
        ),
        ([NOT_JUDGED, FAILS, FAILS, HOLDS, HOLDS, NOT_JUDGED], ["2 hold", "2 do not hold", "2 not judged"]),
        ([], []),
    ],
)
def test_a_tally_counts_in_words_and_leaves_out_what_no_claim_has(verdicts, words):
    assert list(tally(verdicts).values()) == words


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("a", 0.123456, "0.1235"),
        ("a", 1.0, "1"),
        ("a", -0.00012345, "−0.0001234"),
        ("a", 12345.678, "12,346"),
        ("a", 999_999.6, "1×10⁶"),
        ("a", 1.2344e-9, "1.234×10⁻⁹"),
        ("a", 0, "0"),
        ("a", "inf", "∞"),
        ("a", "-inf", "−∞"),
        ("a", "nan", "NaN"),
        ("error Baseline", 0.0375, "3.75 %"),
        ("error Baseline", 0.9, "90 %"),
        ("accuracy", 1, "100 %"),
        ("error Baseline / BatchNorm", 0.5, "0.5"),
        ("errors", 0.5, "0.5"),
        ("", 0.5, "0.5"),
    ],
)
def test_numbers_in_words_have_four_digits_and_shares_are_in_percent(name, value, words):
    (number,) = measured_numbers({"measured": {name: value}, "interval": {}})
    assert number == (name, words.replace(" ", "\N{NO-BREAK SPACE}"), "", "")


@pytest.mark.parametrize(
    ("name", "numbers", "words"),
    [
        ("A / B", (1.4632, 1.3149, 1.6301), "1.46 [1.31, 1.63]"),
        ("a", (1.0003, 1.0001, 1.0006), "1.0003 [1.0001, 1.0006]"),
        ("a", (1.0, 1.0, 1.0), "1 [1, 1]"),
        ("a", (2.0, 1.5, "inf"), "2 [1.5, ∞]"),
        ("a", (0.1, "-inf", 0.3), "0.1 [−∞, 0.3]"),
        ("error A", (0.0375, 0.031, 0.0441), "3.75 % [3.1 %, 4.41 %]"),
    ],
)
def test_a_number_with_an_interval_has_the_digits_that_tell_it_from_the_ends(name, numbers, words):
    value, *ends = numbers
    (number,) = measured_numbers({"measured": {name: value}, "interval": {name: ends}})
    assert number.words.replace("\N{NO-BREAK SPACE}", " ") == words


def test_a_row_written_before_there_were_intervals_has_none():
    (number,) = measured_numbers({"measured": {"a": 1.5}})
    assert (number.words, number.interval) == ("1.5", "")


def test_the_sources_own_number_is_beside_the_measured_one_of_the_same_name_in_the_same_words():
    found = measured_numbers({"measured": {"a": 1.5, "error A": 0.02}, "published": {"error A": 0.0175}})
    assert [number.published.replace("\N{NO-BREAK SPACE}", " ") for number in found] == ["", "1.75 %"]


def test_what_the_source_has_and_this_run_has_not_measured_is_shown_without_a_value():
    found = measured_numbers({"measured": {"a": 1.5}, "published": {"b": 3.0}})
    assert found == [("a", "1.5", "", ""), ("b", "–", "", "3")]


class TestDecidingNumber:
    def test_is_the_one_that_decided_with_the_range_that_the_claim_wants(self):
        row = {
            "measured": {"a": 7.0, "x / y": 0.7495}, "interval": {"a": [6, 8], "x / y": [0.5601, 1.0034]},
            "bounds": {"x / y": {"below": 1.0}}, "deciding": "x / y", "reason": "",
        }  # fmt: skip
        number = deciding_number(row)
        assert number is not None
        assert (number.name, number.words) == ("x / y", "0.7495 [0.5601, 1.003] < 1")
        identical = deciding_number(row | {"reason": "holds by identity: no channel passes"})
        assert identical is not None
        assert identical.words == "by identity"

    @pytest.mark.parametrize("newer", [{}, {"deciding": ""}, {"deciding": "gone"}, {"deciding": "b"}])
    def test_is_the_first_where_no_interval_decides_or_an_older_version_wrote_the_row(self, newer):
        number = deciding_number({"measured": {"a": 7.0, "b": 1.0}, "reason": ""} | newer)
        assert number == ("a", "7", "", "")

    def test_is_none_where_nothing_was_measured(self):
        assert deciding_number({"measured": {}, "reason": "too early"}) is None


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"least": 2.0}, "≥ 2"),
        ({"above": 2.0}, "> 2"),
        ({"most": 1.25}, "≤ 1.25"),
        ({"below": 1.25}, "< 1.25"),
        ({"least": 0.8, "most": 1.25}, "in 0.8…1.25"),
        ({}, ""),
    ],
)
def test_the_wanted_range_is_written_in_signs(bounds, words):
    assert wanted("a / b", bounds) == words


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1.5, 1.5),
        ("1e5", 1e5),
        (True, 1.0),
        (10**400, math.inf),
        (-(10**400), -math.inf),
        ("9" * 400, math.inf),
        ("-inf", -math.inf),
    ],
)
def test_a_value_of_a_row_is_a_number(value, number):
    assert as_number(value) == number


@pytest.mark.parametrize("value", [None, "", "=1+1", "nan", [1], {}, "a\ud800"])
def test_what_is_no_number_is_nan(value):
    assert math.isnan(as_number(value))


@pytest.mark.parametrize("name", NUMBERS)
def test_any_value_is_shown_as_a_number(name):
    for number in measured_numbers(row_of_number(NUMBERS[name])):
        assert set(number.words) <= set("0123456789.,−× ⁻⁰¹²³⁴⁵⁶⁷⁸⁹∞NaN[]%\N{NO-BREAK SPACE}")


def test_a_share_whose_percentage_no_float_can_hold_is_infinite():
    (number,) = measured_numbers({"measured": {"error A": 1.7e308}})
    assert number.words == "∞"
