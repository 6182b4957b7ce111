"""The page with texts from somebody who wants to harm its reader."""

import html.parser
import re
from collections import Counter

import pytest
from hostile import LONG, NUMBERS, ROW_FIELDS, TEXTS, row, row_of_number
from hypothesis import given, settings
from hypothesis import strategies as st

from normscope.report.page import Chapter, Section, render

NASTY = st.text(
    st.one_of(st.sampled_from("<>&\"'/=;:#%{}! -\x00\x1b\u202e\ud800"), st.characters()), max_size=40
)
HARMFUL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
SECTION_TEXTS = ("id", "place", "title", "question", "method", "caption", "scale")
CHAPTER_TEXTS = ("id", "title", "reference", "summary")
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'/>"


def section(**changes):
    fields = {
        "id": "p.fig1", "place": "Fig. 1", "title": "a title", "question": "Do norms help?", "method": "We look.",
        "caption": "A caption.", "scale": "quick", "settings": {"data": "digits"}, "claims": [row()],
        "figure": SVG, "bitmap": None, "failures": {"a cell": "an error"}, "notes": ["A note."],
        "legend": {"a…z": "a to z"},
    }  # fmt: skip
    return Section(**(fields | changes))


def page(*sections, environment=None, **changes):
    fields = {
        "id": "p",
        "title": "On Norms",
        "reference": "P. 2020.",
        "summary": "They help.",
        "absent": {"x": "y"},
    }
    return render([Chapter(sections=sections, **(fields | changes))], environment or {"torch": "2"})


def page_of(text, *names):
    """A page with the text in every field of its rows, its section and its chapter."""
    everywhere = section(
        **dict.fromkeys(SECTION_TEXTS, text),
        claims=[row(field, text, text=text) for field in ROW_FIELDS],
        settings={text: text},
        failures={text: text},
        notes=[text],
        names=names,
        legend={text: text},
    )
    return page(
        everywhere, **dict.fromkeys(CHAPTER_TEXTS, text), absent={text: text}, environment={text: text}
    )


class Markup(html.parser.HTMLParser):
    """The markup of a page: its tags with the names of their attributes, and what its addresses and anchors are."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.anchors = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag != "sub":  # the typesetting of λ_min
            self.tags.append((tag, *(name for name, _ in attributes)))
        self.anchors += [value for name, value in attributes if name == "id"]
        self.addresses += [value for name, value in attributes if name in ("href", "src")]

    def handle_endtag(self, tag):
        if tag != "sub":
            self.tags.append((f"/{tag}",))

    def handle_comment(self, data):
        self.tags.append(("comment",))

    def handle_pi(self, data):
        self.tags.append(("instruction",))


def check_harmless(text):
    """Every address leads to an anchor of the page or is an image in it, and nothing needs an encoding of its own."""
    text.encode()
    assert not HARMFUL.search(text)
    assert "\N{COMBINING ACUTE ACCENT}" * 31 not in text  # 100,000 on one letter stop a browser for minutes
    markup = Markup(text)
    assert max(Counter(markup.anchors).values()) == 1
    assert all(markup.anchors)
    assert not any(re.search(r"\s", anchor) for anchor in markup.anchors)
    for address in markup.addresses:
        assert address.startswith("data:image/svg+xml;base64,") or address.removeprefix("#") in markup.anchors
    return markup


PLAIN = Markup(page_of("plain")).tags


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if text and len(text) < LONG // 2])
@pytest.mark.parametrize("is_a_name", [False, True])
def test_a_hostile_text_adds_no_markup_wherever_it_is(name, is_a_name):
    text = TEXTS[name]
    assert check_harmless(page_of(text, *[text, text[1:]] * is_a_name)).tags == PLAIN


@settings(max_examples=60, deadline=None)
@given(NASTY.filter(bool), st.lists(NASTY, max_size=2))
def test_any_text_adds_no_markup_wherever_it_is(text, names):
    assert check_harmless(page_of(text, *names)).tags == PLAIN


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if len(text) >= LONG // 2])
def test_a_text_of_100_000_characters_adds_no_markup(name):
    long = TEXTS[name]
    text = page(
        section(id=long, title=long, names=[long, long[1:], long[: LONG // 2]], claims=[row("text", long)]),
        summary=long,
    )
    expected = page(section(id="a", title="a", names=["a"], claims=[row("text", "a")]), summary="a")
    assert check_harmless(text).tags == Markup(expected).tags


def test_100_000_rows_errors_and_names_are_grouped_in_near_linear_time():
    failures = {f"cell {number}": f"error {number}" for number in range(20_000)}
    names = [f"name{number}" for number in range(2_000)]
    text = page(section(failures=failures, title=" ".join(names), names=names))
    assert text.count("<li>error ") == 20_000


@pytest.mark.parametrize("name", NUMBERS)
def test_any_value_of_a_number_is_shown(name):
    text = page(section(claims=[row_of_number(NUMBERS[name])]))
    assert check_harmless(text).tags == Markup(page(section(claims=[row_of_number(1.0)]))).tags


def test_parts_of_the_same_name_have_anchors_of_their_own():
    alike = [section(id=name) for name in ("a b", "a-b", "a-b-2", "a b", "p.fig1.a", "source", "", " ")]
    twice = section(claims=[row()] * 3)
    chapter = Chapter("p", "P", "", "", [*alike, twice, twice])
    check_harmless(render([chapter, chapter, Chapter("figure", "F", "", "", [])], {}))


def test_a_part_of_a_name_of_its_own_keeps_it_as_its_anchor():
    markup = Markup(page(section(id="größe_1", claims=[row(experiment="größe_1")])))
    assert {"größe_1", "größe_1.a", "source:p"} <= set(markup.anchors)


def test_the_page_forbids_scripts_and_whatever_is_not_in_it_before_anything_else_but_its_encoding():
    head = page(section()).partition("<head>")[2].split("\n")
    assert head[1] == '<meta charset="utf-8">'
    policy = re.fullmatch('<meta http-equiv="Content-Security-Policy" content="(.*)">', head[2])[1]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules == {
        "default-src": "'none'", "img-src": "data:", "style-src": "'unsafe-inline'", "base-uri": "'none'",
        "form-action": "'none'",
    }  # fmt: skip


@pytest.mark.parametrize(
    "figure",
    [
        b"", b"\x00\xff", b'<svg width="1.2.3pt"', b'<svg width="' + b"9" * 400 + b'pt"', b'<svg width="-1pt"',
        b'<svg onload="document.title=1"><script>document.title=1</script></svg>', b"\"><script>document.title=1",
    ],
)  # fmt: skip
def test_a_figure_is_an_image_whatever_its_content(figure):
    assert check_harmless(page(section(figure=figure))).tags == check_harmless(page(section())).tags


def test_equal_arguments_give_equal_pages():
    assert page(section()) == page(section())
