import dataclasses
import html
import html.parser
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from normscope.protocol import Verdict
from normscope.report.page import Chapter, Section, render
from normscope.report.typesetting import typeset

HOLDS, FAILS, UNDECIDED, NOT_JUDGED = Verdict


def claim(name="a", verdict=FAILS, **changes):
    fields = {
        "experiment": "p.fig1", "claim": name, "text": "Norms <b>help</b>.", "source": "P 2020", "expected": "a > b",
        "measured": {"a": 2.0, "b": "inf"}, "holds": verdict.holds, "verdict": str(verdict), "interval": {},
        "reason": "", "scale": "quick", "seeds": 3,
    }  # fmt: skip
    return fields | changes


def section(**changes):
    fields = {
        "id": "p.fig1", "place": "Fig. 1", "title": "a title", "question": "Do norms help?", "method": "We look.",
        "caption": "A caption.", "scale": "quick", "settings": {"data": "digits"}, "claims": [claim()],
        "figure": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "bitmap": None, "failures": {},
    }  # fmt: skip
    return Section(**(fields | changes))


def page(*sections, **changes):
    fields = {
        "id": "p",
        "title": "On Norms",
        "reference": "P. Author. Journal, 2020.",
        "summary": "They help.",
    }
    chapter = Chapter(sections=sections, **(fields | changes))
    return render([chapter], {"torch": "2"})


class Outline(html.parser.HTMLParser):
    """The parts of a page: anchors, links, headings, tags left open, and the text in reading order."""

    VOID = ("meta", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.images, self.headings, self.open, self.words = [], [], [], [], [], []
        self.tags = Counter()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags[tag] += 1
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes[name] for name in ("href", "src") if name in attributes]
        self.images += [attributes] if tag == "img" else []
        self.headings += [int(tag[1])] if re.fullmatch(r"h[1-6]", tag) else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words += data.split()

    @property
    def text(self):
        return " ".join(self.words)


def test_the_page_goes_from_the_paper_over_question_method_figure_and_claims_to_what_did_not_hold():
    claims = [
        claim("open", UNDECIDED, text="Open.", reason="Few seeds."),
        claim("bad", text="Bad.", reason="Our scale."),
        claim("unseen", NOT_JUDGED, text="Unseen.", reason="No rows."),
        claim("good", HOLDS, text="Good."),
    ]
    text = Outline(page(section(claims=claims))).text
    parts = (
        "On Norms", "P. Author. Journal, 2020.", "They help.", "Overview", "Do norms help?", "We look.", "A caption.",
        "What holds", "Good.", "a > b", "Measured, 3 seeds", "What did not hold", "Bad.", "Our scale.",
        "What the seeds do not decide", "Open.", "Few seeds.", "What was not judged", "Unseen.", "No rows.", "digits",
        "What did not hold or is open, taken together", "Bad.", "Our scale.", "What the seeds do not decide", "Open.",
        "Few seeds.", "What was not judged", "Unseen.", "No rows.", "Made with", "torch",
    )  # fmt: skip
    place = 0
    for part in parts:
        place = text.index(part, place) + len(part)


def test_the_markup_is_closed_and_the_headings_step_down_one_at_a_time():
    outline = Outline(page(section(), section(id="p.fig2")))
    assert outline.open == []
    assert outline.headings[0] == 1
    assert all(
        after <= before + 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False)
    )


def test_every_link_leads_to_an_anchor_on_the_page_and_every_anchor_is_unique():
    strange = section(id="my grid: <1>", claims=[claim("x y", experiment="my grid: <1>")])
    outline = Outline(page(section(), strange))
    links = [link for link in outline.links if not link.startswith("data:")]
    assert links
    assert all(link.startswith("#") and link[1:] in outline.ids for link in links)
    assert len(set(outline.ids)) == len(outline.ids)


def test_every_claim_has_one_article_and_one_mark_in_the_overview():
    claims = [claim(name, verdict) for name, verdict in zip("abcd", Verdict, strict=True)]
    text = page(section(claims=claims))
    assert Outline(text).tags["article"] == 4
    for name in "abcd":
        assert text.count(f'<article class="claim" id="p.fig1.{name}">') == 1
        marks = re.search(r'<span class="marks">.*', text).group()
        assert marks.count(f'href="#p.fig1.{name}"') == 1


def test_the_page_loads_no_other_file():
    text = page(section())
    assert "data:image/svg+xml;base64," in text
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text)
    assert not re.search(r"https?:|url\(|@import", re.sub(r"data:[^\"]*", "", text))
    assert "<script" not in text


def test_every_figure_has_a_description_for_screen_readers():
    (image,) = Outline(page(section())).images
    assert image["alt"] == "Fig. 1, measured here: a title. Enlarge."


@pytest.mark.parametrize(("points", "is_wide"), [(331.2, False), (662.4, True), (993.6, True)])
def test_a_figure_of_several_panels_scrolls_in_its_frame_by_keyboard_too(points, is_wide):
    svg = f'<?xml version="1.0"?>\n<svg\n width="{points}pt" height="244.8pt"></svg>'
    text = page(section(figure=svg.encode()))
    (frame,) = re.findall(r'<div class="frame".*?>', text)
    assert ('tabindex="0" role="group" aria-label="Fig. 1; scrolls sideways' in frame) is is_wide
    assert ("Scroll the figure sideways" in text) is is_wide
    if is_wide:
        natural, least = map(int, re.search(r"--natural: (\d+)px; --least: (\d+)px", frame).groups())
        assert natural == round(points * 96 / 72)
        assert 8 * 96 / 72 * least / natural >= 9  # pixels of the smallest text, which has 8 points


def test_figures_are_dark_on_a_dark_screen_and_unchanged_in_print():
    style = page(section())
    assert style.count("filter:") == 1
    dark = style.index("@media screen and (prefers-color-scheme: dark)")
    assert "invert(1)" in style[dark : style.index("\n}", dark)]


def test_a_large_drawing_is_replaced_by_its_bitmap():
    assert "data:image/svg+xml" in page(section(bitmap=b"\x89PNG"))
    large = b"<svg xmlns='http://www.w3.org/2000/svg'>" + b" " * 2_000_000 + b"</svg>"
    drawn = section(figure=large, bitmap=b"\x89PNG")
    text = page(drawn)
    assert "data:image/png;base64,iVBORw==" in text
    assert "data:image/svg+xml" not in text
    assert "data:image/svg+xml" in page(dataclasses.replace(drawn, bitmap=None))


def test_of_many_figures_those_whose_bitmaps_save_most_are_replaced_until_the_page_is_light():
    def figure(megabytes, bitmap):
        head = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
        return {"figure": head.ljust(int(megabytes * 1e6)), "bitmap": bytes(int(bitmap * 1e6))}

    saves = ((1.2, 0.2), (1.4, 1.3), (1.4, 0.1), (0.9, 1.0), (1.1, 0.2))
    sections = [section(id=f"p.fig{number}", **figure(*sizes)) for number, sizes in enumerate(saves)]
    kinds = [image["src"][:15] for image in Outline(page(*sections)).images]
    assert kinds == [
        "data:image/svg+",
        "data:image/svg+",
        "data:image/png;",
        "data:image/svg+",
        "data:image/svg+",
    ]
    assert len(page(*sections)) < 7e6
    kinds = [image["src"][:15] for image in Outline(page(*sections[:3])).images]
    assert kinds == ["data:image/svg+"] * 3


def test_with_several_sources_the_top_lists_every_experiment_by_source():
    chapters = [
        Chapter(name, f"On {name}", "A. Author.", "", [section(id=f"{name}.fig1", place=f"Fig. {name}")])
        for name in ("p", "q")
    ]
    outline = Outline(render(chapters, {}))
    assert outline.text.index("On p Fig. p ✗ On q Fig. q ✗") < outline.text.index("A. Author.")
    assert outline.links[:4] == ["#source:p", "#p.fig1", "#source:q", "#q.fig1"]


def test_every_text_is_escaped():
    hostile = "<script>alert(1)</script>\" onload='x"
    text = page(
        section(
            id=hostile, title=hostile, question=hostile, failures={hostile: hostile}, notes=[hostile],
            settings={hostile: hostile}, claims=[claim(hostile, reason=hostile, measured={hostile: 1.0})],
        ),
        absent={hostile: hostile},
    )  # fmt: skip
    assert "<b>help</b>" not in text
    assert "<script" not in text
    assert "alert(1)" in text
    assert Outline(text).open == []


def test_failed_cells_are_counted_by_error():
    text = Outline(page(section(failures={"a": "slow", "b": "gone", "c": "gone"}))).text
    assert "3 cells failed" in text
    assert text.index("gone") < text.index("slow")
    assert "2 cells b c" in text


def test_an_experiment_without_a_figure_says_so():
    assert "not enough data to draw" in page(section(figure=None))


def test_an_absent_experiment_is_named_with_the_reason_and_a_papers_with_the_remedy():
    absent = {"p.fig2": "cannot be read"}
    text = Outline(page(section(), absent=absent)).text
    assert "Not on this page: p.fig2 (cannot be read)" in text
    assert "normscope reproduce NAME adds one." in text
    both = Outline(page(section(), absent={"p.fig2": "gone", "p.fig3": "slow", "p.fig4": "gone"})).text
    assert "Not on this page: p.fig2 , p.fig4 (gone); p.fig3 (slow)" in both
    sweeps = Outline(page(section(), absent=absent, reference="")).text
    assert "Not on this page: p.fig2 (cannot be read)" in sweeps
    assert "normscope reproduce" not in sweeps


def test_experiments_without_claims_have_no_verdicts():
    text = Outline(page(section(claims=[]), reference="", summary="")).text
    assert "What did not hold" not in text
    assert "the source" not in text


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        ((HOLDS, FAILS), "1 holds 1 does not hold On Norms"),
        (
            (FAILS, FAILS, UNDECIDED, NOT_JUDGED, NOT_JUDGED),
            "2 do not hold 1 undecided 2 not judged On Norms",
        ),
    ],
)
def test_the_head_counts_the_verdicts(verdicts, words):
    claims = [claim(str(number), verdict) for number, verdict in enumerate(verdicts)]
    assert words in Outline(page(section(claims=claims))).text


@pytest.mark.parametrize(
    ("verdicts", "is_said"),
    [((HOLDS,), True), ((HOLDS, UNDECIDED), True), ((HOLDS, FAILS), False), ((NOT_JUDGED,), False)],
)
def test_where_all_decided_claims_hold_the_end_says_so(verdicts, is_said):
    claims = [claim(str(number), verdict) for number, verdict in enumerate(verdicts)]
    text = page(section(claims=claims))
    assert ("Every claim that could be decided holds here." in text) is is_said


def test_a_number_has_its_interval_beside_it():
    judged = claim(measured={"a": 1.463, "b": 2.0}, interval={"a": [1.3149, 1.6301]})
    text = page(section(claims=[judged]))
    assert "<td>1.46 <span>[1.31, 1.63]</span></td>" in text
    assert "<td>2</td>" in text
    assert "a 1.46 [1.31, 1.63], b 2" in Outline(text).text  # in "taken together"


def test_the_sources_own_number_is_beside_the_measured_one():
    text = Outline(page(section(claims=[claim(published={"b": 7.5, "c": 3.0})]))).text
    assert "here published a 2 b ∞ 7.5 c – 3" in text
    assert "b ∞ (published: 7.5)" in text  # where what did not hold is taken together
    assert "published" not in Outline(page(section())).text


def test_claims_written_before_there_were_verdicts_and_intervals_are_shown():
    older = claim()
    del older["verdict"], older["interval"]
    assert "1 does not hold" in Outline(page(section(claims=[older]))).text


def test_letters_and_numbers_are_typeset():
    judged = claim(text="Suppress's λ_max & more", measured={"error λ_min": 0.0375, "b": -1.5e-7})
    text = page(section(claims=[judged]))
    assert "Suppress’s λ<sub>max</sub> &amp; more" in text
    assert "error λ<sub>min</sub></th><td>3.75\N{NO-BREAK SPACE}%</td>" in text
    assert "−1.5×10⁻⁷" in text


@settings(max_examples=300, deadline=None)
@given(
    st.text(
        st.one_of(st.sampled_from("<>&'\"λ_n;#{}%$\\ "), st.characters(codec="utf-8")),
        min_size=1,
        max_size=30,
    )
)
def test_a_name_that_a_user_chose_is_shown_letter_by_letter(name):
    shown = str(typeset(f"Why {name}, it's λ_min?", [name, "other"]))
    around = re.fullmatch("Why (.*), it’s λ<sub>min</sub>\\?", shown, re.DOTALL)
    if around:  # a name such as "s" is also in the other words
        assert "<" not in around[1]
        assert html.unescape(around[1]) == name
    else:
        assert name in " Why, it's λ_min?"


NETWORK = "nets:net(tag=\"it's <b>&amp; λ_min 'x'\", path='a  b')"


def test_a_networks_name_is_on_the_page_as_it_was_given():
    named = section(
            title=f"{NETWORK} on digits", question=f"How does {NETWORK} learn?", method=f"{NETWORK} is trained.",
        caption=f"The error of {NETWORK}.", names=[NETWORK], settings={"networks": NETWORK}, notes=[f"It's {NETWORK}."],
    )  # fmt: skip
    text = Outline(page(named, reference="")).text
    once = " ".join(NETWORK.split())
    for words in (
        f"{once} on digits",
        f"How does {once} learn?",
        f"{once} is trained.",
        f"The error of {once}.",
        f"It’s {once}.",
    ):
        assert words in text
    assert f"<dd>{html.escape(NETWORK).replace('&#x27;', '&#39;').replace('&quot;', '&#34;')}</dd>" in page(
        named
    )


def test_what_a_legend_shortens_is_in_full_under_the_figure():
    text = Outline(page(section(legend={"a…z": "a<b>z"}))).text
    assert "The figure's labels in full a…z a<b>z" in text
    assert "labels in full" not in page(section())


def test_sweeps_whose_names_look_like_the_pages_own_anchors_do_not_take_them():
    names = ("a", "a-figure", "a-question", "a-here", "p", "p-contents", "p-title", "p-together")
    outline = Outline(page(*(section(id=name, claims=[]) for name in names)))
    assert len(set(outline.ids)) == len(outline.ids)
    assert set(names) <= set(outline.ids)
