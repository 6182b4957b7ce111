"""Names of the user's own in a figure."""

import io
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from hostile import TEXTS
from hypothesis import given, settings
from hypothesis import strategies as st

from normscope.report.labels import abbreviated, fitted, literal, shortened, visible, width
from normscope.report.plots import legend_below, new_figure

NASTY = st.text(st.one_of(st.sampled_from("_$\\{}^%#&~<>\"'`\n\t\x00\x1b|"), st.characters()), max_size=60)
NAMES = st.lists(NASTY, min_size=1, max_size=4, unique=True)


def legend_of(names):
    """The texts of a legend with an entry a name, as they are drawn."""
    figure, (axes,) = new_figure(1)
    for place, entry in enumerate(fitted(names)):
        axes.plot([0, 1], [place, place], label=literal(entry))
    legend_below(figure)
    return figure, figure.legends[0].get_texts() if figure.legends else []


def as_drawn(text):
    """The letters that matplotlib draws of a text: what it parses of it, and whether that is mathematics."""
    shown, is_math = text._preprocess_math(text.get_text())
    assert not is_math
    return shown.removeprefix("\N{ZERO WIDTH SPACE}")


@settings(max_examples=60, deadline=None)
@given(NAMES)
def test_a_legend_has_one_entry_a_name_with_its_letters(names):
    names = [name for name in names if name]
    _, texts = legend_of(names)
    assert [as_drawn(text) for text in texts] == fitted(names)


@settings(max_examples=8, deadline=None)
@given(NAMES)
def test_a_figure_with_any_names_is_drawn_and_its_svg_is_well_formed(names):
    figure, _ = legend_of(names)
    figure.axes[0].set_title(literal(names[0]))
    with io.BytesIO() as file:
        figure.savefig(file, format="svg")
        ElementTree.fromstring(file.getvalue())


@settings(max_examples=200, deadline=None)
@given(NASTY)
def test_a_visible_text_is_one_line_of_printable_letters_and_stays_as_it_is(text):
    shown = visible(text)
    assert shown.isprintable()
    assert visible(shown) == shown


@settings(max_examples=200, deadline=None)
@given(NASTY)
def test_a_text_that_matplotlibs_font_can_print_is_not_changed(text):
    plain = "".join(letter for letter in text if letter.isascii() and letter.isprintable())
    assert visible(plain) == plain
    assert shortened(plain, 100, 10) == plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("漢", r"\u6f22"),
        ("\ud800", r"\ud800"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}abc", r"\u202eabc"),
        ("größe_λ", "größe_λ"),
    ],
)
def test_what_cannot_be_printed_is_written_as_python_writes_it(text, shown):
    assert visible(text) == shown


@pytest.mark.filterwarnings("error")
def test_letters_that_the_font_lacks_raise_no_warning():
    figure, texts = legend_of(["netz_漢字:make", "_a$b$c"])
    figure.draw_without_rendering()
    assert [as_drawn(text) for text in texts] == [r"netz_\u6f22\u5b57:make", "_a$b$c"]


def test_the_users_own_fonts_are_asked_for_their_letters():
    with mpl.rc_context({"font.family": ["cmr10"]}):
        assert visible("Ж") == r"\u0416"
    with mpl.rc_context({"font.family": ["cmr10", "DejaVu Sans"]}):
        assert visible("Ж") == "Ж"


def test_the_middle_of_a_long_text_is_left_out():
    short = shortened("begin" + "x" * 300 + "end", 2.0, 10)
    assert short.startswith("begin")
    assert short.endswith("end")
    assert short.count("…") == 1
    assert 1.8 < width(short, 10) <= 2.0


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_a_shortened_text_fits(text):
    assert width(literal(shortened(text, 1.0, 8.0)), 8.0) <= 1.0


@pytest.mark.parametrize(
    ("inches", "shown"),
    [
        (9, "encoder.layers.11.attention.projection"),
        (1.7, "e.layers.11.attention.projection"),
        (1.5, "e.l.11.attention.projection"),
        (1.2, "e.l.11.a.projection"),
    ],
)
def test_a_dotted_name_keeps_its_numbers_and_its_end(inches, shown):
    assert abbreviated("encoder.layers.11.attention.projection", inches, 7.5) == shown


def test_long_names_that_would_read_alike_are_numbered():
    names = ["a" * 200 + letter + "a" * 200 for letter in "xy"]
    first, second = fitted(names)
    assert first != second
    assert (first[-4:], second[-4:]) == (" (1)", " (2)")
    assert fitted(["short", "other"]) == ["short", "other"]


@pytest.mark.parametrize(
    "names", [["W" * 300], ["W" * 300, "m" * 300, "i" * 900], [f"{n}" * 99 for n in range(9)]]
)
def test_a_legend_of_long_names_is_inside_the_figure(names):
    figure, _ = legend_of(names)
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 >= 0
    assert legend.x1 <= figure.bbox.width


def test_mathematics_of_a_papers_label_is_measured_as_it_is_set():
    assert width(r"$\lambda_{\max}$") < width(literal(r"$\lambda_{\max}$")) / 2


def test_a_figure_with_every_hostile_name_is_drawn_and_shows_them_letter_by_letter():
    names = [name for name in TEXTS.values() if name]
    figure, texts = legend_of(names)
    figure.axes[0].set_title(literal(shortened(TEXTS["long line"], 3.0, 10)))
    labels = [literal(abbreviated(name, 1.7, 7.5)) for name in names]
    figure.axes[0].set_yticks(range(len(labels)), labels)
    with io.BytesIO() as file:
        figure.savefig(file, format="svg")
        drawn = ElementTree.fromstring(file.getvalue())
    assert [as_drawn(text) for text in texts] == fitted(names)
    assert not [one for one in drawn.iter() if one.tag.endswith(("script", "foreignObject", "image"))]


@pytest.mark.parametrize("name", [name for name in TEXTS if name.startswith("long")])
@pytest.mark.parametrize("shorten", [shortened, abbreviated])
def test_a_name_of_100_000_letters_is_shortened(shorten, name):
    short = shorten(TEXTS[name], 1.7, 7.5)
    assert len(short) < 200
    assert width(literal(short), 7.5) <= 1.7
