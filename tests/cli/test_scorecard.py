"""The scorecard on the terminal, with made-up results."""

import dataclasses
import itertools
import math
import re

import pandas as pd
import pytest
from hostile import LONG, NUMBERS, TEXTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from normscope.cli.scorecard import show_scorecard
from normscope.protocol import Claim, Comparison, Result, Scale, Verdict

HOLDS, FAILS, UNDECIDED, NOT_JUDGED = Verdict
SENTENCE = "Where the channels are completely decorrelated, each channel's eigenvalues are scaled exactly by a factor"
NAMES = (
    "natural_modes", "channel_scaling", "fig5", "fig6", "fig7", "fig8", "fig10", "pmd",
)  # fmt: skip


def comparison(name="error A / B", value=1.4632, low=1.3149, high=1.6301, holds=True):
    return Comparison(name, value, low, high, -math.inf, 2.0, holds, seeds=5)


def claim(id="a", verdict=HOLDS, text=SENTENCE, measured=None, comparisons=(), reason=""):
    measured = (
        {"steps": 7.0, **{one.name: one.value for one in comparisons}} if measured is None else measured
    )
    return Claim(id, text, "P 2020, Fig. 1", "a > b", measured, verdict, reason, 5, comparisons)


def result(id="p.fig1", *claims, failures=(), notes=()):
    failed = {f"cell {number}": error for number, error in enumerate(failures)}
    return Result(id, Scale.QUICK, pd.DataFrame(), claims, failed, {}, None, tuple(notes))


@pytest.fixture
def shown(capsys, monkeypatch):
    """Prints a scorecard; returns its lines."""

    def show(*results, columns=80, **options):
        monkeypatch.setenv("COLUMNS", str(columns))
        show_scorecard(results, **options)
        return capsys.readouterr().out.splitlines()

    return show


def whole_paper():
    """36 claims in 8 experiments, each with two notes and failed cells."""
    numbers = [
        comparison(value=1.2345e-12, low=-1.2345e-11, high=1.2345e-11),
        comparison("displacement of the logits, NLMS_L2 / BN_Prior at rate 1"),
        comparison("accuracy A", 0.5, 0.25, float("inf")),
    ]
    made = itertools.cycle(
        claim(verdict=verdict, text=SENTENCE[:length], comparisons=[number] if number else ())
        for length in (12, 60, None)
        for number in (*numbers, None)
        for verdict in Verdict
    )
    counts = (5, 4, 5, 4, 5, 4, 5, 4)
    notes = [f"Cells of mixed versions: {SENTENCE}.", "A note of everyone."]
    errors = [f"RuntimeError: {SENTENCE}", "stopped after 1 s", "another"]
    return [
        result(f"p.{name}", *itertools.islice(made, count), notes=[*notes, name], failures=errors)
        for name, count in zip(NAMES, counts, strict=True)
    ]


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_a_paper_of_36_claims_fits_its_screen(shown, columns):
    lines = shown(*whole_paper(), columns=columns)
    assert sum(line[:1] in "✓✗?–" for line in lines) == 36
    assert len(lines) + 2 <= 45  # with the paths of scorecard and page
    assert max(map(len, lines)) <= columns


def on_data(id, note):
    return dataclasses.replace(result(id, claim(), notes=[note, "Another note."]), data_note=note)


def test_data_that_are_not_the_papers_are_named_once_above_the_claims(shown):
    note = "Judged on kmnist, not on the paper's data, mnist."
    lines = shown(on_data("p.fig1@kmnist", note), on_data("p.fig2@kmnist", note))
    assert lines[1] == note
    assert [line.split()[1] for line in lines[2:4]] == ["fig1", "fig2"]
    assert sum(note in line for line in lines) == 1
    assert any(line.endswith("Another note.") for line in lines)


def test_where_results_differ_in_their_data_every_line_names_them(shown):
    lines = shown(
        on_data("p.fig1@kmnist", "Judged on kmnist."),
        on_data("p.fig1@own-1", "Judged on mine."),
        result("p.fig1", claim()),
    )
    assert [line.split()[1] for line in lines[1:4]] == ["fig1@kmnist", "fig1@own-1", "fig1"]
    assert "p.fig1@kmnist: Judged on kmnist." in lines
    assert "p.fig1@own-1: Judged on mine." in lines


def test_the_tally_is_above_and_below_the_lines(shown):
    verdicts = [HOLDS] * 22 + [FAILS] * 3 + [UNDECIDED] * 5 + [NOT_JUDGED] * 4
    lines = shown(result("p.fig1", *(claim(verdict=verdict) for verdict in verdicts)))
    assert lines[0] == lines[-2] == "22 hold, 3 do not, 5 undecided, 4 not judged"
    assert "--verbose" in lines[-1]


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        ((HOLDS, FAILS), "1 holds, 1 does not"),
        ((FAILS, FAILS, NOT_JUDGED), "2 do not hold, 1 not judged"),
        ((HOLDS, UNDECIDED), "1 holds, 1 undecided"),
    ],
)
def test_the_tally_in_words(shown, verdicts, words):
    assert shown(result("p.fig1", *(claim(verdict=verdict) for verdict in verdicts)))[0] == words


@pytest.mark.parametrize(
    ("judged", "line"),
    [
        (claim(text="Norms help."), "✓ fig1  Norms help.  7"),
        (claim(text="Norms help.", measured={}), "✓ fig1  Norms help."),
        (
            claim(
                verdict=FAILS,
                text="Norms help.",
                comparisons=[comparison("b"), comparison("c", 3, 2, 4, False)],
            ),
            "✗ fig1  Norms help.  3 [2, 4] ≤ 2",
        ),
        (
            claim(verdict=UNDECIDED, text="Norms help.", comparisons=[comparison(holds=None)]),
            "? fig1  Norms help.  1.46 [1.31, 1.63] ≤ 2",
        ),
        (claim(verdict=NOT_JUDGED, text="Norms help.", measured={"a": 1.23456}), "– fig1  Norms help."),
    ],
)
def test_a_line_has_mark_experiment_sentence_and_the_number_that_decided(shown, judged, line):
    assert shown(result("p.fig1", judged))[1] == line


def test_a_long_sentence_is_cut_at_a_words_end_and_numbers_end_at_the_right_edge(shown):
    lines = shown(result("p.fig1", claim(), claim(comparisons=[comparison()])))[1:3]
    assert [len(line) for line in lines] == [80, 80]
    for line in lines:
        sentence = re.fullmatch(r"✓ fig1  (.*)…  +[\d.]+( \[.*\] ≤ 2)?", line)[1]
        assert SENTENCE.startswith(f"{sentence} ")
        assert len(sentence) > 40


def test_a_wide_screen_shows_the_numbers_name_where_it_fits(shown):
    fitting, too_long = comparison(), comparison("a name that is longer than it should be, and then some")
    lines = [
        shown(result("p.fig1", claim(comparisons=[one])), columns=columns)[1]
        for one, columns in ((fitting, 119), (fitting, 120), (too_long, 120))
    ]
    assert [one.name in line for one, line in zip((fitting, fitting, too_long), lines, strict=True)] == [
        False,
        True,
        False,
    ]
    assert all(line.endswith(" 1.46 [1.31, 1.63] ≤ 2") for line in lines)


def test_experiments_have_short_names_below_their_papers_where_they_are_of_several(shown):
    one = [result("p.fig1", claim(text="A.")), result("p.fig2", claim(text="B.")), result("sweep")]
    assert [line[:8] for line in shown(*one)[1:3]] == ["✓ fig1  ", "✓ fig2  "]
    lines = shown(*one, result("q.fig12", claim()))[1:6]
    assert [line[:9].rstrip() for line in lines] == ["p", "✓ fig1", "✓ fig2", "q", "✓ fig12"]


def test_an_interval_is_left_out_where_the_sentence_would_be_cut_too_short(shown):
    wide = comparison(value=1.2345e-12, low=-1.2345e-11, high=1.2345e-11)
    narrow, broad = (
        shown(result("p.fig1", claim(comparisons=[wide])), columns=columns)[1] for columns in (70, 80)
    )
    assert narrow.endswith("  1.23×10⁻¹² ≤ 2")
    assert broad.endswith("  1.23×10⁻¹² [−1.23×10⁻¹¹, 1.23×10⁻¹¹] ≤ 2")
    assert all(line.startswith("✓ fig1  Where the channels are") for line in (narrow, broad))
    short = shown(result("p.fig1", claim(text="A short one.", comparisons=[wide])), columns=70)[1]
    assert short == "✓ fig1  A short one.  1.23×10⁻¹² [−1.23×10⁻¹¹, 1.23×10⁻¹¹] ≤ 2"


def test_an_error_and_a_note_of_several_experiments_are_printed_once(shown):
    results = [
        result("p.fig1", claim(), failures=["slow", "slow"], notes=["Old."]),
        result("p.fig2", claim(), failures=["slow"], notes=["Old."]),
        result("p.fig3", claim(), notes=["Old."]),
    ]
    assert shown(*results)[4:6] == ["p.fig1, p.fig2: 3 cells failed: slow", "all experiments: Old."]


def test_notes_are_whole_where_they_fit_and_else_cut_and_counted(shown):
    def remarks(claims, notes):
        claims, notes = [claim()] * claims, [f"{number}: {SENTENCE}" for number in range(notes)]
        return shown(result("p.fig1", *claims, notes=notes))[len(claims) + 1 : -2]

    whole = " ".join(f"p.fig1: {number}: {SENTENCE}" for number in range(9))
    assert " ".join(remarks(1, 9)) == whole
    cut = remarks(36, 4)
    assert len(cut) == 4
    assert all(line.endswith("…") for line in cut)
    assert remarks(36, 9)[-1] == "and 6 more: see --verbose or the page"


def test_verbose_adds_everything_about_each_claim_after_the_lines(shown):
    judged = claim(
        verdict=UNDECIDED, comparisons=[comparison(holds=None)], reason="About 9 seeds would decide it."
    )
    notes = [f"{SENTENCE} {number}" for number in range(9)]
    results = [result("p.fig1", judged, notes=notes)]
    short, long = shown(*results), shown(*results, verbose=True)
    assert long[:2] == short[:2]
    words = " ".join(" ".join(long[2:]).split())
    for part in (
        f"? undecided p.fig1 a {SENTENCE} (P 2020, Fig. 1) Test: a > b",
        "Measured, 5 seeds [95 % interval over seeds]: steps 7 error A / B 1.46 [1.31, 1.63]",
        "About 9 seeds would decide it.",
        *notes,
    ):
        assert part in words
    assert max(map(len, long)) <= 80
    assert long[-1] == short[0]


def test_verbose_shows_the_sources_own_number_beside_the_measured_one(shown):
    judged = dataclasses.replace(claim(comparisons=[comparison()]), published={"steps": 9.0, "error A": 0.02})
    lines = shown(result("p.fig1", judged), verbose=True)
    assert "Measured, 5 seeds [95 % interval over seeds], and what the source has:" in "\n".join(lines)
    found = [" ".join(line.split()) for line in lines]
    assert "steps 7 (published: 9)" in found
    assert "error A / B 1.46 [1.31, 1.63]" in found
    assert "error A – (published: 2 %)" in found


def test_text_that_looks_like_markup_is_printed_as_it_is(shown):
    text = "[red]a[/red] [/b]"
    results = [
        result("p.fig1", claim(text=text, measured={text: 1.0}, reason=text), notes=[text], failures=[text])
    ]
    for options in ({}, {"verbose": True}):
        lines = shown(*results, **options)
        assert text in lines[1]
        assert f"p.fig1: {text}" in lines


def test_old_results_without_comparisons_have_no_word_on_brackets(shown):
    judged = claim(comparisons=[comparison()])
    assert "[low, high]" in shown(result("p.fig1", judged))[-1]
    assert "[low, high]" not in shown(result("p.fig1", dataclasses.replace(judged, comparisons=())))[-1]


def test_an_end_that_is_just_beyond_the_bound_is_not_rounded_onto_it(shown):
    one = dataclasses.replace(comparison(value=0.7495, low=0.5601, high=1.0034, holds=None), most=1.0)
    line = shown(result("p.fig1", claim(verdict=UNDECIDED, text="Norms help.", comparisons=[one])))[1]
    assert line == "? fig1  Norms help.  0.7495 [0.5601, 1.003] ≤ 1"


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"least": 2.0, "most": math.inf}, "≥ 2"),
        ({"least": 2.0, "most": math.inf, "strict": True}, "> 2"),
        ({"strict": True}, "< 2"),
        ({"least": 0.8, "most": 1.25}, "in 0.8…1.25"),
    ],
)
def test_a_line_ends_with_what_the_claim_wants_of_its_number(shown, bounds, words):
    one = dataclasses.replace(comparison(), **bounds)
    line = shown(result("p.fig1", claim(text="Norms help.", comparisons=[one])))[1]
    assert line.endswith(f" 1.46 [1.31, 1.63] {words}")


def test_a_claim_that_holds_by_identity_says_so_instead_of_a_number(shown):
    same = claim(text="Norms help.", comparisons=[comparison()], reason="holds by identity: no gate acted")
    assert shown(result("p.fig1", same))[1] == "✓ fig1  Norms help.  by identity"


def test_a_sentence_of_wide_characters_is_cut_by_its_width(shown):
    wide = claim(text="規格化 層 " * 30, comparisons=[comparison()])
    line = shown(result("p.fig1", wide))[1]
    assert cell_len(line) <= 80
    assert line.endswith(" 1.46 [1.31, 1.63] ≤ 2")


HARMFUL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def hostile_result(text):
    """A result with the text in every field that is shown."""
    judged = Claim(text, text, text, text, {text: 1.0}, UNDECIDED, text, 3, [comparison(text)])
    return dataclasses.replace(result(text, judged, failures=[text], notes=[text]), data_note=text)


@pytest.mark.parametrize("name", TEXTS)
def test_no_hostile_text_of_a_result_commands_the_terminal(shown, name):
    printed = "\n".join(shown(hostile_result(TEXTS[name]), verbose=True))
    printed.encode()
    assert not HARMFUL.search(printed)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.one_of(st.characters(), st.characters(categories=["Cc", "Cf", "Cs"]))),
    columns=st.integers(1, 200),
)
def test_no_text_commands_the_terminal_at_any_width(shown, text, columns):
    for options in ({}, {"verbose": True}):
        printed = "\n".join(shown(hostile_result(text), columns=columns, **options))
        printed.encode()
        assert not HARMFUL.search(printed)


@pytest.mark.parametrize("name", NUMBERS)
def test_any_value_of_a_number_is_printed(shown, name):
    judged = claim(text="Norms help.", measured={"a": NUMBERS[name], "b": 1.0})
    for options in ({}, {"verbose": True}):
        assert shown(result("p.fig1", judged), **options)[1].startswith("✓ fig1  Norms help.  ")


def test_a_control_character_is_shown_as_an_escape(shown):
    lines = shown(result("p.fig1", claim(text="\x1b[2JNorms help."), notes=["a\x07b"]))
    assert lines[1] == r"✓ fig1  \x1b[2JNorms help.  7"
    assert r"p.fig1: a\x07b" in lines


def test_a_sentence_of_many_words_is_cut_at_a_words_end(shown):
    (line,) = (line for line in shown(result("p.fig1", claim(text="a " * LONG))) if line.startswith("✓"))
    assert re.fullmatch(r"✓ fig1  (a )+a…  +7", line)
    assert len(line) in (79, 80)
