"""The guided tour of a results folder: its experiments, paper by paper, as the page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from normscope.errors import InputError
from normscope.papers import catalogue
from normscope.papers.catalogue import Entry
from normscope.papers.sources import Paper
from normscope.protocol import Experiment
from normscope.report.page import Chapter, Section
from normscope.results import files, scorecard


def chapters(out: Path) -> list[Chapter]:
    """A chapter for each paper of which a results folder holds something, in the catalogue's order."""
    rows = scorecard.read_scorecard(out)
    papers = list(dict.fromkeys(entry.paper for entry in catalogue.ENTRIES))
    found = (_chapter(out, paper, rows) for paper in papers)
    return [chapter for chapter in found if chapter is not None]


def absent(out: Path) -> dict[str, str]:
    """The experiments that a results folder lacks or that cannot be read there, each with what is wrong.

    Only of papers of which it holds something.
    """
    return {id: why for chapter in chapters(out) for id, why in chapter.absent.items()}


def section(
    experiment: Experiment, table: Path, rows: Sequence[Mapping[str, Any]], place: str, title: str
) -> Section:
    """A stored experiment as a section of the page.

    Args:
        experiment: it, for its question, method and caption.
        table: where its rows are stored; its figure stands beside them.
        rows: the scorecard.
        place: the figure, table or section of the source.
        title: what it measures.

    Raises:
        InputError: when the table cannot be read.
    """
    about = files.read_about(table)
    figure = table.with_name("figure.svg")
    return Section(
        id=experiment.id,
        place=place,
        title=title,
        question=experiment.question,
        method=experiment.method,
        caption=experiment.caption,
        scale=about["scale"],
        settings=about["settings"],
        claims=[row for row in rows if row["experiment"] == experiment.id],
        figure=figure if figure.exists() else None,
        failures=about["failures"],
        notes=about.get("notes", ()),
    )


def _chapter(out: Path, paper: Paper, rows: Sequence[Mapping[str, Any]]) -> Chapter | None:
    sections: list[Section] = []
    missing: dict[str, str] = {}
    for entry in catalogue.below(paper.id):
        found = _found(out, entry, rows)
        if isinstance(found, Section):
            sections.append(found)
        else:
            missing[entry.id] = found
    if not any((out / id / files.DATA_NAME).exists() for id in (*missing, *(part.id for part in sections))):
        return None
    return Chapter(paper.id, paper.title, paper.reference, paper.summary, sections, missing)


def _found(out: Path, entry: Entry, rows: Sequence[Mapping[str, Any]]) -> Section | str:
    """The experiment's section, or what keeps it from the page."""
    table = out / entry.id / files.DATA_NAME
    if not table.exists():
        return f"{entry.place}, not in this folder"
    try:
        return section(entry.load(), table, rows, entry.place, entry.title)
    except InputError:
        return f"{entry.place}, its stored table cannot be read"
