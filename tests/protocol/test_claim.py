import json
import math

import numpy as np

from normscope.protocol import Judgement, NotJudgedError, claim, empty_table


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


def test_a_claim_without_rows_is_not_judged_and_says_why():
    judged = unseen(empty_table())
    assert (judged.holds, judged.verdict) == (None, "not judged")
    assert judged.reason == "no rows with measure = x"


def test_numbers_that_are_not_finite_are_strings_in_json():
    row = larger(table(math.inf, -math.inf)).to_json()
    assert row["measured"] == {"a": "inf", "b": "-inf"}
    assert row["claim"] == "larger"
    json.dumps(row, allow_nan=False)


def test_only_a_claim_that_does_not_hold_is_discussed():
    @claim("larger", "", "", "", discussion="Our scale.")
    def discussed(table):
        a, b = table["value"]
        return Judgement({}, a > b, 1, "as seen")

    assert discussed(table(2.0, 1.0)).reason == "as seen"
    assert discussed(table(1.0, 2.0)).reason == "as seen. Our scale."
