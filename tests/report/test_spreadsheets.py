"""Texts in a CSV file, as the spreadsheets that open it see them."""

import csv
import io
import re

import pytest
from hostile import ROW_FIELDS, TEXTS, row
from hypothesis import given, settings
from hypothesis import strategies as st

from normscope.report.export import to_csv
from normscope.report.spreadsheets import as_cell

SIGNS = "=+-@\N{MINUS SIGN}＝＋－＠﹦﹢﹣﹫"
INVISIBLE = ' \u00a0\u3000\u00ad\u200b\u200c\u200d\u2060\ufeff"'
NUMBER = r"[-+−]?[0-9.]+([eE][-+]?[0-9]+)?"
NASTY = st.text(
    st.one_of(st.sampled_from(f"{SIGNS}{INVISIBLE};,|'\t\r\n0.e"), st.sampled_from("=;\n"), st.characters()),
    max_size=30,
)


def formulas(text, separator):
    """The cells that a spreadsheet takes for formulas when it is set to a separator."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    cells = [cell for line in lines for cell in line]
    return [
        cell
        for cell in cells
        if (words := cell.strip(f"{INVISIBLE}\t\r\n"))[:1] in [*SIGNS] and not re.fullmatch(NUMBER, words)
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@settings(max_examples=200, deadline=None)
@given(NASTY, NASTY, st.sampled_from(ROW_FIELDS))
def test_no_spreadsheet_finds_a_formula_whichever_separator_it_is_set_to(separator, text, other, field):
    assert formulas(to_csv([row(field, text, text=other), row(field, other)]), separator) == []


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("field", ROW_FIELDS)
def test_no_hostile_text_is_a_formula_or_a_control_character_in_a_csv(name, field):
    csv.field_size_limit(10**7)
    text = to_csv([row(field, TEXTS[name])])
    text.encode()
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    for separator in ",;\t":
        assert formulas(text, separator) == []


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("  @x", "'  @x"),
        ("\N{FULLWIDTH EQUALS SIGN}x", "'\N{FULLWIDTH EQUALS SIGN}x"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("a; =x", "a;' =x"),
        ('a\n"=x', "a\n'\"=x"),
        ("-1.5e-3", "-1.5e-3"),
        ("+7", "+7"),
        ("-1+2", "'-1+2"),
        ("a = b, -1; c", "a = b, -1; c"),
        ("\x00=x", r"\x00=x"),
        ("a\ud800", r"a\ud800"),
        ("", ""),
    ],
)
def test_a_text_as_a_cell(text, cell):
    assert as_cell(text) == cell


@pytest.mark.parametrize(
    ("text", "separator"), [("=x", ","), ("\t@x", ","), ("a\n=x", ";"), (";=x", ";"), ("a;-1+x", ";")]
)
def test_the_spreadsheet_of_these_tests_finds_formulas(text, separator):
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(["a", text])
    assert formulas(line.getvalue(), separator)
