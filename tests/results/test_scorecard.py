"""The scorecard file: what is read is what was written, or the file is damaged."""

import json

import pytest

from normscope.errors import DamagedError
from normscope.results import Scorecard, files
from normscope.results.files import CannotReadError
from normscope.results.scorecard import unjudged


@pytest.fixture
def scorecard(tmp_path):
    return Scorecard(tmp_path / "scorecard.json")


def update(scorecard, rows, order):
    scorecard.write(scorecard.merged(scorecard.read(), rows, order))


def row(experiment="p.fig1", claim="a", holds=True, scale="quick"):
    return {
        "experiment": experiment, "claim": claim, "text": "t", "source": "s", "expected": "e",
        "measured": {"x": 1.5}, "holds": holds, "verdict": "holds" if holds else "does not hold",
        "interval": {"x": [1.0, "inf"]}, "reason": "", "scale": scale, "seeds": 3,
        "data": "digits", "data_note": "", "bounds": {"x": {"least": 1.0}}, "deciding": "x", "published": {"x": 2.0},
    }  # fmt: skip


def older_row(**changes):
    """A row as it was written before claims had verdicts, intervals and published numbers."""
    fields = row(**changes)
    for newer in ("verdict", "interval", "data", "data_note", "bounds", "deciding", "published"):
        del fields[newer]
    return fields


def test_without_a_file_there_are_no_rows(scorecard):
    assert scorecard.read() == []


def test_new_rows_replace_those_of_the_same_claim_and_keep_the_others(scorecard):
    update(scorecard, [row(), row(claim="b"), row("p.fig2")], ["p.fig1", "p.fig2"])
    update(scorecard, [row(holds=False, scale="laptop")], ["p.fig1", "p.fig2"])
    rows = json.loads(scorecard.path.read_text())
    assert [(r["experiment"], r["claim"], r["holds"]) for r in rows] == [
        ("p.fig1", "a", False), ("p.fig1", "b", True), ("p.fig2", "a", True),
    ]  # fmt: skip
    assert rows[0]["scale"] == "laptop"


def test_rows_are_listed_in_the_given_order_of_experiments(scorecard):
    update(scorecard, [row("p.fig2"), row("other"), row("p.fig1")], ["p.fig1", "p.fig2"])
    assert [r["experiment"] for r in scorecard.read()] == ["p.fig1", "p.fig2", "other"]


def test_the_fields_of_a_row_are_the_documented_ones_in_order(scorecard):
    update(scorecard, [{**row(), "more": 1}], [])
    (written,) = json.loads(scorecard.path.read_text())
    assert list(written) == [*scorecard.read()[0], "checksum"]
    assert list(scorecard.read()[0]) == [
        "experiment", "claim", "text", "source", "expected", "measured", "holds", "verdict", "interval", "reason",
        "scale", "seeds", "data", "data_note", "bounds", "deciding", "published",
    ]  # fmt: skip


def test_rows_of_an_older_file_are_read_and_kept_as_they_are(scorecard):
    older = [older_row(), older_row(claim="b", holds=None)]
    scorecard.path.write_text(json.dumps(older))
    assert scorecard.read() == older
    update(scorecard, [row()], ["p.fig1"])
    assert scorecard.read() == [row(), older_row(claim="b", holds=None)]


@pytest.mark.parametrize("content", ["not json", "{}[", '[{"experiment": 1}]', "[1]", "7"])
def test_a_file_that_is_not_a_scorecard_is_named_as_damage(scorecard, content):
    scorecard.path.write_text(content)
    with pytest.raises(DamagedError, match=r"scorecard\.json is damaged"):
        scorecard.read()


def test_what_cannot_be_read_now_is_not_damaged(scorecard, monkeypatch):
    update(scorecard, [row()], [])
    for error in (OSError(5, "Input/output error"), MemoryError()):
        with monkeypatch.context() as patch:
            patch.setattr(files, "read_file", lambda *given, error=error: raise_(error))
            with pytest.raises(CannotReadError, match="cannot read"):
                scorecard.read()


def raise_(error):
    raise error


def write_rows(scorecard, rows):
    scorecard.path.write_text(json.dumps(rows))


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_row_that_is_lost_moved_or_copied_is_noticed(scorecard, lost):
    update(scorecard, [row(), row(claim="b"), row("p.fig2")], [])
    rows = json.loads(scorecard.path.read_text())
    others = rows[:lost] + rows[lost + 1 :]
    for found in (
        others,
        [rows[lost], *others][::-1],
        [*rows, rows[lost]],
        [*rows, {**rows[lost], "claim": "c"}],
    ):
        write_rows(scorecard, found)
        with pytest.raises(DamagedError, match=r"does not match its checksum|two rows"):
            scorecard.read()


def test_a_row_without_its_checksum_is_noticed_among_others(scorecard):
    update(scorecard, [row(), row(claim="b")], [])
    first, last = json.loads(scorecard.path.read_text())
    del first["checksum"]
    write_rows(scorecard, [first, last])
    with pytest.raises(DamagedError, match="row 1 does not match"):
        scorecard.read()


def test_every_flipped_bit_of_the_file_is_noticed_or_changes_no_value(scorecard):
    update(scorecard, [row()], [])
    content = scorecard.path.read_bytes()
    noticed = 0
    for place in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        scorecard.path.write_bytes(flipped)
        try:
            assert scorecard.read() == [row()]
        except DamagedError:
            noticed += 1
    assert noticed > 0.98 * 8 * len(content)


def test_any_text_can_be_written_and_read(scorecard):
    odd = row() | {"text": "\ud800 \udfff\x00\x1b[31m", "measured": {"\udc80\x00": "inf"}, "interval": {}}
    update(scorecard, [odd], [])
    scorecard.path.read_text(encoding="utf-8")  # it is UTF-8 for other programs, too
    assert scorecard.read() == [odd]


def test_a_row_that_is_not_judged_any_more_keeps_what_its_claim_says(scorecard):
    changed = unjudged(older_row(), "lost")
    assert changed["verdict"] == "not judged"
    assert (changed["holds"], changed["measured"], changed["interval"], changed["reason"]) == (
        None,
        {},
        {},
        "lost",
    )
    assert (changed["bounds"], changed["deciding"], changed["published"]) == ({}, "", {})
    assert unjudged(row(), "lost")["published"] == {"x": 2.0}
    assert (changed["text"], changed["expected"], changed["source"]) == ("t", "e", "s")
    update(scorecard, [changed], [])
    assert scorecard.read() == [changed]


def test_no_other_file_is_left_behind(scorecard):
    update(scorecard, [row()], [])
    assert [path.name for path in scorecard.path.parent.iterdir()] == ["scorecard.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "maybe"}, {"verdict": None}, {"verdict": "does not hold"}, {"holds": "yes"},
        {"interval": {"a": ["x", "y"]}}, {"interval": {"a": [1, 2, 3]}}, {"interval": None}, {"interval": [1, 2]},
        {"measured": [1]}, {"measured": {"a": None}}, {"experiment": 7}, {"reason": None}, {"experiment": ["a"]},
        {"measured": {"a": 10**400}}, {"measured": {"a": float("nan")}}, {"measured": {"a": "12"}},
        {"interval": {"a": [1, 10**400]}}, {"seeds": "3"}, {"seeds": True}, {"seeds": -1}, {"scale": 7}, {"more": 1},
        {"bounds": [1]}, {"bounds": {"x": [1, 2]}}, {"bounds": {"x": {"least": None}}},
        {"bounds": {"x": {"more": 1.0}}}, {"deciding": None},
        {"published": [1]}, {"published": {"x": "12"}}, {"published": None},
        {"holds": 1}, {"verdict": ["holds"]}, {"source": None}, {"expected": {}}, {"claim": {}},
    ],
)  # fmt: skip
def test_a_row_with_values_of_another_kind_is_named_as_damage(scorecard, change):
    scorecard.path.write_text(json.dumps([row() | change]))
    with pytest.raises(DamagedError, match=r"scorecard\.json is damaged"):
        scorecard.read()


def test_nesting_without_end_is_damage(scorecard):
    for depth in (500, 900, 950, 990, 10_000, 1_000_000):
        nested = "[" * depth + "]" * depth
        scorecard.path.write_text(json.dumps([row() | {"measured": "x"}]).replace('"x"', nested))
        with pytest.raises(DamagedError):
            scorecard.read()
