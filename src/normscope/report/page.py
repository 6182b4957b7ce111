"""The layout of the page, ``report.html``: a guided tour through results, in one file that loads no other."""

from __future__ import annotations

import base64
import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscope.protocol import Verdict
from normscope.report.scorecard import MARKS, measured_numbers, tally, verdict

if TYPE_CHECKING:
    from markupsafe import Markup

_HEADINGS = {
    Verdict.HOLDS: "What holds",
    Verdict.FAILS: "What did not hold",
    Verdict.UNDECIDED: "What the seeds do not decide",
    Verdict.NOT_JUDGED: "What was not judged",
}
_HEAVY_BYTES = 1_500_000
_SVG_WIDTH = re.compile(rb'<svg[^>]*\swidth="([\d.]+)pt"')
_PIXELS_PER_POINT = 96 / 72
_SUBSCRIPT = re.compile(r"([α-ωΑ-Ω])_(\w+)")
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_]|\b|\s|$)")


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
        figure: the figure as an SVG file; ``None`` when it could not be drawn.
        bitmap: the figure as a PNG file, shown instead of an SVG file of more than 1.5 MB; ``None`` when there is none.
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
    figure: Path | None
    bitmap: Path | None
    failures: Mapping[str, str]
    notes: Sequence[str] = ()
    names: Sequence[str] = ()
    legend: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def errors(self) -> list[tuple[str, list[str]]]:
        """Every error with the cells that it stopped, the most frequent error first."""
        common = Counter(self.failures.values()).most_common()
        return [
            (error, [cell for cell in self.failures if self.failures[cell] == error]) for error, _ in common
        ]


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
    def claims(self) -> list[Mapping[str, Any]]:
        """The claims of all its experiments."""
        return [row for section in self.sections for row in section.claims]


def render(chapters: Sequence[Chapter], environment: Mapping[str, str]) -> str:
    """The text of ``report.html``.

    Args:
        chapters: the sources with their experiments, in their order on the page.
        environment: versions and machine, by name.
    """
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("normscope.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(
        verdict=verdict, tally=tally, judged=_judged, measured=measured_numbers, image=_image, width=_width,
        anchor=_anchor, typeset=_typeset,
    )  # fmt: skip
    templates.globals.update(marks=MARKS, headings=_HEADINGS, Verdict=Verdict)
    return templates.get_template("report.html").render(chapters=chapters, environment=environment)


def _judged(rows: Sequence[Mapping[str, Any]], wanted: Verdict) -> list[Mapping[str, Any]]:
    """The rows of one verdict."""
    return [row for row in rows if verdict(row) is wanted]


def _image(section: Section) -> str:
    """A section's figure as a ``data:`` address. A large SVG file would make scrolling slow: the PNG replaces it."""
    image, kind = section.figure, "svg+xml"
    assert image is not None
    if section.bitmap is not None and image.stat().st_size > _HEAVY_BYTES:
        image, kind = section.bitmap, "png"
    return f"data:image/{kind};base64," + base64.b64encode(image.read_bytes()).decode()


def _width(section: Section) -> int:
    """The width of a section's figure at its own size, in CSS pixels; 0 when the SVG file does not say it."""
    assert section.figure is not None
    with section.figure.open("rb") as file:
        found = _SVG_WIDTH.search(file.read(2048))
    return round(float(found[1]) * _PIXELS_PER_POINT) if found else 0


def _anchor(name: str) -> str:
    """A name with the characters replaced that a link cannot hold."""
    return re.sub(r"[^\w.-]+", "-", name)


def _typeset(text: str, names: Sequence[str] = ()) -> Markup:
    """A text as HTML, escaped, with typographic apostrophes; the index of a Greek letter, ``λ_min``, is a subscript.

    Args:
        text: the text.
        names: names in it that a user chose: they stay as they are.
    """
    from markupsafe import Markup, escape

    longest_first = sorted(filter(None, names), key=len, reverse=True)
    parts = re.split(f"({'|'.join(map(re.escape, longest_first))})", text) if longest_first else [text]
    for place in range(0, len(parts), 2):
        curled = _APOSTROPHE.sub("’", parts[place])
        parts[place] = Markup(_SUBSCRIPT.sub(r"\1<sub>\2</sub>", str(escape(curled))))
    return Markup("").join(parts)
