"""The page: ``report.html``, a results folder as a guided tour in one file that needs nothing beside it."""

from __future__ import annotations

import base64
import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscope.protocol import VERDICTS
from normscope.report.scorecard import measured_numbers, verdict

if TYPE_CHECKING:
    from markupsafe import Markup

_HEAVY_BYTES = 1_500_000
_SUBSCRIPT = re.compile(r"([α-ωΑ-Ω])_(\w+)")
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_]|\b|\s|$)")


@dataclasses.dataclass(frozen=True)
class Section:
    """One experiment on the page.

    Attributes:
        id: its name.
        place: the figure, table or section of its source, such as ``"Fig. 6"``.
        title: what it measures.
        question: what it asks.
        method: how it finds out.
        caption: what the figure shows.
        scale: the scale it was run at.
        settings: its profile in words.
        claims: its rows of the scorecard.
        figure: the SVG file; ``None`` when the figure could not be drawn.
        failures: the cells that failed, each with its error.
        notes: what else a reader should know of the rows.
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
    failures: Mapping[str, str]
    notes: Sequence[str] = ()

    @property
    def errors(self) -> list[tuple[str, list[str]]]:
        """Every error with the cells that failed with it, the most frequent first."""
        common = Counter(self.failures.values()).most_common()
        return [
            (error, [cell for cell in self.failures if self.failures[cell] == error]) for error, _ in common
        ]


@dataclasses.dataclass(frozen=True)
class Chapter:
    """The experiments of one source.

    Attributes:
        id: its name, the anchor on the page.
        title: the source's title.
        reference: its authors and where it appeared; empty for experiments of the user's own.
        summary: what it asks and finds, in a paragraph; may be empty.
        sections: its experiments, in their order on the page.
        absent: its experiments that are not on the page, each with the reason.
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
        environment: what the results were made with, in words.
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
        verdict=verdict, measured=measured_numbers, inline=_inline, anchor=_anchor, typeset=_typeset
    )
    return templates.get_template("report.html").render(
        chapters=chapters, environment=environment, verdicts=VERDICTS
    )


def _inline(figure: Path) -> str:
    """A figure as the address of an image that stands in the page itself.

    An SVG file so heavy that it would make scrolling slow gives way to the PNG beside it.
    """
    bitmap = figure.with_suffix(".png")
    heavy = figure.stat().st_size > _HEAVY_BYTES and bitmap.exists()
    image, kind = (bitmap, "png") if heavy else (figure, "svg+xml")
    return f"data:image/{kind};base64," + base64.b64encode(image.read_bytes()).decode()


def _anchor(name: str) -> str:
    """A name as it may stand in an address on the page."""
    return re.sub(r"[^\w.-]+", "-", name)


def _typeset(text: str) -> Markup:
    """A text, escaped, with curled apostrophes and the indices of Greek letters below the line: ``λ_min``."""
    from markupsafe import Markup, escape

    curled = _APOSTROPHE.sub("’", text)
    return Markup(_SUBSCRIPT.sub(r"\1<sub>\2</sub>", str(escape(curled))))
