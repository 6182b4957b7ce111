import json
import math

import numpy as np

from normscope.protocol import Claim, Comparison, Judgement, NotJudgedError, Verdict, claim, empty_table


@claim("larger", "One is larger than the other.", "Nobody 2020, Fig. 1", "a > b")
def larger(table):
    a, b = table["value"]
    return Judgement({"a": a, "b": b}, a > b, seeds=1)


@claim("unseen", "Nothing is seen.", "Nobody 2020, Fig. 2", "something")
def unseen(table):
    raise NotJudgedError("no rows with measure = x")


def table(*values):
    frame = empty_table()
    return frame.reindex(range(len(values))).assign(value=values)


def test_a_claim_holds_or_not_by_its_numbers():
    assert larger(table(2.0, 1.0)).holds is True
    assert larger(table(1.0, 2.0)).holds is False
    assert larger(table(1.0, 2.0)).verdict == "does not hold"


def test_a_verdict_is_a_plain_boolean_also_from_numpy():
    assert larger(table(np.float64(2), np.float64(1))).holds is True


def test_a_table_without_any_value_decides_nothing():
    judged = larger(table(math.nan, math.nan))
    assert (judged.verdict, judged.reason) == (Verdict.NOT_JUDGED, "no row of its cells has a value")
    assert larger(table(math.nan, 1.0)).verdict is Verdict.FAILS


def test_a_claim_without_rows_is_not_judged_and_says_why():
    judged = unseen(empty_table())
    assert (judged.holds, judged.verdict) == (None, "not judged")
    assert judged.reason == "no rows with measure = x"


def test_numbers_that_are_not_finite_are_strings_in_json():
    row = larger(table(math.inf, -math.inf)).to_json()
    assert row["measured"] == {"a": "inf", "b": "-inf"}
    assert row["claim"] == "larger"
    json.dumps(row, allow_nan=False)


def comparison(name="a / b", holds: bool | None = True, low=1.1, high=1.3, least=1.0, most=math.inf):
    return Comparison(name, 1.2, low, high, least, most, holds, seeds=3)


def judged(holds, *comparisons):
    @claim("larger", "", "", "")
    def rule(table):
        return Judgement({one.name: one.value for one in comparisons}, holds, 3, "as seen", comparisons)

    return rule(empty_table())


def test_a_claim_that_the_seeds_do_not_decide_is_undecided_which_is_not_the_same_as_not_judged():
    undecided = judged(None, comparison(holds=None))
    assert (undecided.holds, undecided.verdict) == (None, "undecided")
    assert unseen(empty_table()).verdict is Verdict.NOT_JUDGED


def test_what_was_measured_of_a_claim_that_is_not_judged_is_reported():
    @claim("early", "", "", "")
    def rule(table):
        raise NotJudgedError("too early", {"a": 1.0}, seeds=4)

    found = rule(empty_table())
    assert (found.verdict, found.measured, found.seeds, found.reason) == (
        "not judged",
        {"a": 1.0},
        4,
        "too early",
    )


def test_the_json_row_has_the_word_and_the_interval_of_every_comparison():
    row = judged(False, comparison(), comparison("c / d", False, 0.1, math.inf)).to_json()
    assert (row["holds"], row["verdict"]) == (False, "does not hold")
    assert row["interval"] == {"a / b": [1.1, 1.3], "c / d": [0.1, "inf"]}
    assert row["interval"].keys() <= row["measured"].keys()
    json.dumps(row, allow_nan=False)
    assert judged(None, comparison(holds=None)).to_json()["holds"] is None


def test_the_json_row_has_the_range_that_each_comparison_must_be_in_and_the_name_of_the_deciding_one():
    above = Comparison("c", 1.2, 1.1, 1.3, 0.5, math.inf, holds=True, seeds=3, strict=True)
    both, below = comparison("both", least=0.1, most=2.0), comparison("below", least=-math.inf, most=1.5)
    row = judged(True, above, both, below).to_json()
    assert row["bounds"] == {"c": {"above": 0.5}, "both": {"least": 0.1, "most": 2.0}, "below": {"most": 1.5}}
    assert row["deciding"] == "below"
    assert judged(True).to_json()["deciding"] == ""


def test_the_sources_own_numbers_go_with_a_claim_whether_it_is_judged_or_not():
    @claim("table", "", "", "")
    def rule(table):
        if table.empty:
            raise NotJudgedError("too early", {"a": 1.0}, published={"a": 2.0})
        return Judgement({"a": 1.0}, True, 3, published={"a": math.inf})

    assert rule(empty_table()).published == {"a": 2.0}
    assert rule(table(1.0)).to_json()["published"] == {"a": "inf"}
    assert larger(table(2.0, 1.0)).to_json()["published"] == {}


class TestDeciding:
    def test_of_a_claim_that_holds_it_is_the_comparison_nearest_to_its_bound(self):
        wide, near = comparison("wide", least=0.2), comparison("near", least=1.09)
        below = comparison("below", least=-math.inf, most=1.9)
        assert judged(True, wide, near, below).deciding is near

    def test_of_a_claim_that_does_not_hold_it_is_the_comparison_furthest_beyond_its_bound(self):
        found = [comparison("fine"), comparison("near", False, most=1.0), comparison("far", False, most=0.2)]
        assert judged(False, *found).deciding.name == "far"

    def test_of_an_undecided_claim_it_is_the_first_comparison_that_is_undecided(self):
        found = [comparison("fine"), comparison("open", None), comparison("too", None)]
        assert judged(None, *found).deciding.name == "open"

    def test_where_only_the_number_of_comparisons_leaves_it_undecided_it_is_the_one_that_misses(self):
        deciding = judged(None, comparison("fine"), comparison("misses", False)).deciding
        assert deciding is not None
        assert deciding.name == "misses"

    def test_without_comparisons_there_is_none(self):
        assert judged(True).deciding is None
        assert Claim("a", "", "", "", {}, Verdict.NOT_JUDGED).deciding is None
