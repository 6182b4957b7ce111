"""Texts from anybody, made harmless to show."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normscope.errors import printable

ANY = st.text(st.one_of(st.characters(), st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x9b31m\x7f\x00", r"\x9b31m\x7f\x00"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}abc\N{POP DIRECTIONAL ISOLATE}", r"\u202eabc\u2069"),
        ("a\ud800b\udcff", r"a\ud800b\udcff"),
        ("größe_λ 漢 \N{GRINNING FACE} \\x1b", "größe_λ 漢 \N{GRINNING FACE} \\x1b"),
    ],
)
def test_what_could_harm_is_written_as_python_writes_it(text, shown):
    assert printable(text) == shown


@given(ANY)
def test_a_printable_text_is_one_line_without_control_characters_that_every_file_can_hold(text):
    shown = printable(text)
    shown.encode()
    assert len(shown.splitlines()) <= 1
    for character in shown:
        assert unicodedata.category(character) not in ("Cc", "Cs")
        assert unicodedata.bidirectional(character) not in (
            "LRE",
            "RLE",
            "LRO",
            "RLO",
            "PDF",
            "LRI",
            "RLI",
            "FSI",
            "PDI",
        )


@given(ANY)
def test_a_printable_text_stays_as_it_is(text):
    shown = printable(text)
    assert printable(shown) == shown


@given(st.text("e漢\u0300\u0301\u0323\U0001d165a", min_size=25, max_size=200))
def test_a_letter_has_at_most_30_marks_and_none_is_lost(text):
    shown = printable(text)
    assert not re.search("[\u0300\u0301\u0323\U0001d165]{31}", shown)
    assert (
        re.sub(
            r"\\u0300|\\u0301|\\u0323|\\U0001d165",
            lambda found: found[0].encode().decode("unicode_escape"),
            shown,
        )
        == text
    )


@pytest.mark.parametrize(
    "text", ["e" + "\u0301" * 30 + "e" + "\u0301" * 30, "漢" * 100, "\N{GRINNING FACE}" * 100]
)
def test_letters_with_few_marks_stay(text):
    assert printable(text) == text


def test_the_31st_mark_on_a_letter_is_an_escape():
    assert printable("e" + "\u0301" * 32) == "e" + "\u0301" * 30 + r"\u0301\u0301"


def test_the_characters_to_keep_stay():
    assert printable("a\tb\r\nc\x00", keep="\t\n") == "a\tb\\r\nc\\x00"
