"""The page: ``report.html``, every experiment of a results folder in one file that needs nothing beside it."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from normscope.protocol import VERDICTS
from normscope.report.files import write_text
from normscope.report.scorecard import measured_numbers, verdict


@dataclasses.dataclass(frozen=True)
class Section:
    """One experiment on the page.

    Attributes:
        id: its name.
        title: what it measures.
        source: the paper and the figure.
        caption: what the figure shows.
        scale: the scale it was run at.
        settings: its profile in words.
        claims: its rows of the scorecard.
        figure: the SVG file; ``None`` when the figure could not be drawn.
        failures: what failed, each with its error.
        notes: what else a reader should know of the rows.
    """

    id: str
    title: str
    source: str
    caption: str
    scale: str
    settings: Mapping[str, str]
    claims: Sequence[Mapping[str, Any]]
    figure: Path | None
    failures: Mapping[str, str]
    notes: Sequence[str] = ()


def write_page(folder: Path, sections: Sequence[Section], environment: Mapping[str, str]) -> Path:
    """Write ``report.html`` into ``folder``.

    Args:
        folder: the results folder.
        sections: the experiments, in their order on the page.
        environment: what the results were made with, in words.
    """
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("normscope.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    templates.filters.update(verdict=verdict, measured=measured_numbers, inline=_inline)
    verdicts = [verdict(row) for section in sections for row in section.claims]
    counts = {name: verdicts.count(name) for name in VERDICTS.values()}
    page = folder / "report.html"
    text = templates.get_template("report.html").render(
        sections=sections, environment=environment, counts=counts
    )
    write_text(page, text)
    return page


def _inline(image: Path) -> str:
    """An SVG file as the address of an image that stands in the page itself."""
    return "data:image/svg+xml;base64," + base64.b64encode(image.read_bytes()).decode()
