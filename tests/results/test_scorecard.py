import json

import pytest

from normscope.errors import InputError
from normscope.results import Scorecard


@pytest.fixture
def scorecard(tmp_path):
    return Scorecard(tmp_path / "scorecard.json")


def row(experiment="p.fig1", claim="a", holds=True, scale="quick"):
    return {
        "experiment": experiment, "claim": claim, "text": "t", "source": "s", "expected": "e",
        "measured": {"x": 1.5}, "holds": holds, "verdict": "holds" if holds else "does not hold",
        "interval": {"x": [1.0, "inf"]}, "reason": "", "scale": scale, "seeds": 3,
        "data": "digits", "data_note": "",
    }  # fmt: skip


def older_row(**changes):
    """A row as it was written before claims had verdicts and intervals, and named their data."""
    fields = row(**changes)
    for newer in ("verdict", "interval", "data", "data_note"):
        del fields[newer]
    return fields


def test_without_a_file_there_are_no_rows(scorecard):
    assert scorecard.read() == []


def test_new_rows_replace_those_of_the_same_claim_and_keep_the_others(scorecard):
    scorecard.update([row(), row(claim="b"), row("p.fig2")], ["p.fig1", "p.fig2"])
    scorecard.update([row(holds=False, scale="laptop")], ["p.fig1", "p.fig2"])
    rows = json.loads(scorecard.path.read_text())
    assert [(r["experiment"], r["claim"], r["holds"]) for r in rows] == [
        ("p.fig1", "a", False), ("p.fig1", "b", True), ("p.fig2", "a", True),
    ]  # fmt: skip
    assert rows[0]["scale"] == "laptop"


def test_rows_are_listed_in_the_given_order_of_experiments(scorecard):
    scorecard.update([row("p.fig2"), row("other"), row("p.fig1")], ["p.fig1", "p.fig2"])
    assert [r["experiment"] for r in scorecard.read()] == ["p.fig1", "p.fig2", "other"]


def test_the_fields_of_a_row_are_the_documented_ones_in_order(scorecard):
    scorecard.update([{**row(), "more": 1}], [])
    assert list(scorecard.read()[0]) == [
        "experiment", "claim", "text", "source", "expected", "measured", "holds", "verdict", "interval", "reason",
        "scale", "seeds", "data", "data_note",
    ]  # fmt: skip


def test_rows_of_an_older_file_are_read_and_kept_as_they_are(scorecard):
    older = [older_row(), older_row(claim="b", holds=None)]
    scorecard.path.write_text(json.dumps(older))
    assert scorecard.read() == older
    scorecard.update([row()], ["p.fig1"])
    assert scorecard.read() == [row(), older_row(claim="b", holds=None)]


@pytest.mark.parametrize("content", ["not json", "{}[", '[{"experiment": 1}]', "[1]", "7"])
def test_a_file_that_is_not_a_scorecard_is_named_and_left_alone(scorecard, content):
    scorecard.path.write_text(content)
    with pytest.raises(InputError, match=r"scorecard\.json is not a normscope scorecard"):
        scorecard.update([row()], [])
    assert scorecard.path.read_text() == content


def test_no_other_file_is_left_behind(scorecard):
    scorecard.update([row()], [])
    assert [path.name for path in scorecard.path.parent.iterdir()] == ["scorecard.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "maybe"}, {"verdict": None}, {"verdict": "does not hold"}, {"holds": "yes"},
        {"interval": {"a": ["x", "y"]}}, {"interval": {"a": [1, 2, 3]}}, {"interval": None}, {"interval": [1, 2]},
        {"measured": [1]}, {"measured": {"a": None}}, {"experiment": 7}, {"reason": None},
    ],
)  # fmt: skip
def test_a_row_with_values_of_another_kind_is_named_as_damage(scorecard, change):
    scorecard.path.write_text(json.dumps([row() | change]))
    with pytest.raises(InputError, match=r"scorecard\.json is not a normscope scorecard"):
        scorecard.read()
