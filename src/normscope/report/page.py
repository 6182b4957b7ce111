"""The layout of the page, ``report.html``: a guided tour through results, in one file that loads no other."""

from __future__ import annotations

import base64
import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from normscope.errors import printable
from normscope.protocol import Verdict
from normscope.report.anchors import Anchors
from normscope.report.scorecard import MARKS, measured_numbers, tally, verdict
from normscope.report.typesetting import typeset

if TYPE_CHECKING:
    import jinja2

_HEADINGS = {
    Verdict.HOLDS: "What holds",
    Verdict.FAILS: "What did not hold",
    Verdict.UNDECIDED: "What the seeds do not decide",
    Verdict.NOT_JUDGED: "What was not judged",
}
_HEAVY_BYTES = 1_500_000
_MOST_BYTES = 5_000_000
"""Of all figures of a page: where their SVG files are larger, PNG files replace those that shrink the page most."""
_SVG_HEAD_BYTES = 2048
_SVG_WIDTH = re.compile(rb'<svg[^>]*\swidth="(\d{1,5}(?:\.\d+)?)pt"')
_PIXELS_PER_POINT = 96 / 72


@dataclasses.dataclass(frozen=True)
class Section:
    """One experiment on the page.

    Attributes:
        id: the experiment's name.
        place: the figure, table or section of its source, such as ``"Fig. 6"``.
        title: what it measures.
        question: what it asks.
        method: how it finds the answer.
        caption: what the figure shows.
        scale: the scale of the run; empty when the experiment has only one size.
        settings: its settings in words.
        claims: its rows of the scorecard.
        figure: the content of the figure's SVG file; ``None`` when it could not be drawn.
        bitmap: the content of its PNG file, shown in place of SVG that makes the page heavy; ``None`` if there is none.
        failures: the cells that failed, each with its error.
        notes: sentences that a reader of the rows should know.
        names: the names in these texts that a user chose: they are shown letter by letter.
        legend: the entries of the figure's legend that are shortened there, each with its full text.
    """

    id: str
    place: str
    title: str
    question: str
    method: str
    caption: str
    scale: str
    settings: Mapping[str, str]
    claims: Sequence[Mapping[str, Any]]
    figure: bytes | None
    bitmap: bytes | None
    failures: Mapping[str, str]
    notes: Sequence[str] = ()
    names: Sequence[str] = ()
    legend: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def errors(self) -> list[tuple[str, list[str]]]:
        """Every error with the cells that it stopped, the most frequent error first."""
        cells: dict[str, list[str]] = {}
        for cell, error in self.failures.items():
            cells.setdefault(error, []).append(cell)
        return sorted(cells.items(), key=lambda found: len(found[1]), reverse=True)


@dataclasses.dataclass(frozen=True)
class Chapter:
    """The experiments of one source.

    Attributes:
        id: the source's name, used as the anchor on the page.
        title: the source's title.
        reference: its authors and where it appeared; empty for a user's sweeps.
        summary: a paragraph on what it asks and finds; may be empty.
        sections: its experiments, in their order on the page.
        absent: its experiments that the page does not show, each with the reason.
    """

    id: str
    title: str
    reference: str
    summary: str
    sections: Sequence[Section]
    absent: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def reasons(self) -> dict[str, list[str]]:
        """The reasons for which experiments are absent, each with their names."""
        names: dict[str, list[str]] = {}
        for id, why in self.absent.items():
            names.setdefault(why, []).append(id)
        return names

    @property
    def claims(self) -> list[Mapping[str, Any]]:
        """The claims of all its experiments."""
        return [row for section in self.sections for row in section.claims]


def render(chapters: Sequence[Chapter], environment: Mapping[str, str]) -> str:
    r"""The text of ``report.html``, which depends on nothing but the arguments.

    Every text is escaped. A control character, a character that turns the direction of writing and a lone surrogate is
    shown as an escape such as ``\x1b``. The page forbids the browser to run scripts and to load anything; the figures
    are in it as images, in which no script runs either.

    Args:
        chapters: the sources with their experiments, in their order on the page.
        environment: versions and machine, by name.
    """
    chapters = [_copied(chapter) for chapter in chapters]
    anchors = _anchors(chapters)
    bitmaps = _bitmaps([section for chapter in chapters for section in chapter.sections])
    page = _template().render(
        chapters=chapters,
        environment=environment,
        anchor=lambda part: anchors[id(part)],
        image=lambda section: _image(section, as_bitmap=id(section) in bitmaps),
    )
    return printable(page, keep="\t\n\r")


@functools.cache
def _template() -> jinja2.Template:
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("normscope.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(
        verdict=verdict, tally=tally, judged=_judged, measured=measured_numbers, width=_width,
        typeset=typeset,
    )  # fmt: skip
    templates.globals.update(marks=MARKS, headings=_HEADINGS, Verdict=Verdict)
    return templates.get_template("report.html")


def _copied(chapter: Chapter) -> Chapter:
    """The chapter with sections and rows that are objects of their own, so that each has one place on the page."""
    sections = [
        dataclasses.replace(section, claims=[dict(row) for row in section.claims])
        for section in chapter.sections
    ]
    return dataclasses.replace(chapter, sections=sections)


def _anchors(chapters: Sequence[Chapter]) -> dict[int, str]:
    """The anchor of every chapter, section and row, by the object's ``id``: no two parts of the page share one.

    In the template, what follows a colon in an anchor is the page's own, and chapters' anchors begin with ``source:``.
    """
    of_chapters, of_parts = Anchors(), Anchors("source")
    sections = [section for chapter in chapters for section in chapter.sections]
    found = {id(chapter): of_chapters.make(chapter.id) for chapter in chapters}
    found |= {id(section): of_parts.make(section.id) for section in sections}
    for section in sections:
        found |= {id(row): of_parts.make(f"{row['experiment']}.{row['claim']}") for row in section.claims}
    return found


def _judged(rows: Sequence[Mapping[str, Any]], wanted: Verdict) -> list[Mapping[str, Any]]:
    """The rows of one verdict."""
    return [row for row in rows if verdict(row) is wanted]


def _bitmaps(sections: Sequence[Section]) -> set[int]:
    """The sections whose PNG files are shown, by the objects' ``id``.

    A large SVG file makes scrolling slow, and many together make a page that is slow to open and to send.
    """
    saved = {
        id(section): len(section.figure) - len(section.bitmap)
        for section in sections
        if section.figure is not None and section.bitmap is not None
    }
    chosen = {id(section) for section in sections if len(section.figure or b"") > _HEAVY_BYTES}
    chosen &= saved.keys()
    total = sum(len(section.figure or b"") for section in sections) - sum(saved[one] for one in chosen)
    for one, bytes_saved in sorted(saved.items(), key=lambda item: item[1], reverse=True):
        if total <= _MOST_BYTES or bytes_saved <= 0:
            break
        if one not in chosen:
            chosen.add(one)
            total -= bytes_saved
    return chosen


def _image(section: Section, *, as_bitmap: bool) -> str:
    """A section's figure as a ``data:`` address."""
    image, kind = (section.bitmap, "png") if as_bitmap else (section.figure, "svg+xml")
    assert image is not None
    return f"data:image/{kind};base64," + base64.b64encode(image).decode()


def _width(section: Section) -> int:
    """The width of a section's figure at its own size, in CSS pixels; 0 when the SVG file does not say it."""
    assert section.figure is not None
    found = _SVG_WIDTH.search(section.figure[:_SVG_HEAD_BYTES])
    return round(float(found[1]) * _PIXELS_PER_POINT) if found else 0
