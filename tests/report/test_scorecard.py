import json

import pytest

from normscope.errors import InputError
from normscope.report.scorecard import measured_numbers, verdict
from normscope.results.scorecard import read_scorecard, update_scorecard


def row(experiment="p.fig1", claim="a", holds=True, scale="quick", measured=None):
    return {
        "experiment": experiment, "claim": claim, "text": "t", "source": "s", "expected": "e",
        "measured": {"x": 1.5} if measured is None else measured, "holds": holds, "reason": "", "scale": scale,
        "seeds": 3,
    }  # fmt: skip


def test_a_folder_without_a_scorecard_has_no_rows(tmp_path):
    assert read_scorecard(tmp_path) == []


def test_new_rows_replace_their_own_and_keep_the_others(tmp_path):
    update_scorecard(tmp_path, [row(), row(claim="b"), row("p.fig2")], ["p.fig1", "p.fig2"])
    update_scorecard(tmp_path, [row(holds=False, scale="laptop")], ["p.fig1", "p.fig2"])
    rows = json.loads((tmp_path / "scorecard.json").read_text())
    assert [(r["experiment"], r["claim"], r["holds"]) for r in rows] == [
        ("p.fig1", "a", False), ("p.fig1", "b", True), ("p.fig2", "a", True),
    ]  # fmt: skip
    assert rows[0]["scale"] == "laptop"


def test_rows_stand_in_the_catalogues_order(tmp_path):
    update_scorecard(tmp_path, [row("p.fig2"), row("other"), row("p.fig1")], ["p.fig1", "p.fig2"])
    assert [r["experiment"] for r in read_scorecard(tmp_path)] == ["p.fig1", "p.fig2", "other"]


@pytest.mark.parametrize("content", ["not json", "{}[", '[{"experiment": 1}]', "[1]", "7"])
def test_a_file_that_is_no_scorecard_is_named_and_left_alone(tmp_path, content):
    (tmp_path / "scorecard.json").write_text(content)
    with pytest.raises(InputError, match=r"scorecard\.json is not a normscope scorecard"):
        update_scorecard(tmp_path, [row()], [])
    assert (tmp_path / "scorecard.json").read_text() == content


def test_no_temporary_file_stays(tmp_path):
    update_scorecard(tmp_path, [row()], [])
    assert not list(tmp_path.glob("*.tmp"))


def test_verdicts_for_a_reader():
    assert [verdict(row(holds=holds)) for holds in (True, False, None)] == [
        "holds",
        "does not hold",
        "not judged",
    ]


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
def test_numbers_for_a_reader_have_four_digits_and_shares_are_in_percent(name, value, words):
    assert measured_numbers({name: value}) == [(name, words.replace(" ", "\N{NO-BREAK SPACE}"))]
