"""The page of a results folder: a chapter per paper and one of the sweeps, gathered from what is stored.

:mod:`normscope.report.page` lays it out.
"""

from __future__ import annotations

import importlib.metadata
import platform
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from normscope.data import unpinned
from normscope.errors import InputError, NormscopeWarning, printable
from normscope.papers import catalogue
from normscope.papers.entry import Entry
from normscope.papers.other_data import base_of
from normscope.papers.sources import Paper
from normscope.protocol import Experiment
from normscope.report import page
from normscope.report.page import Chapter, Section
from normscope.results.contents import Contents, FaultKind, Shown
from normscope.results.experiment_folder import DrawnFigure
from normscope.sweep import SweepExperiment

_PACKAGES = ("normscope", "torch", "numpy", "pandas", "pyarrow", "matplotlib")
_MOST_NAMED = 50

_Rows = Sequence[Mapping[str, Any]]


def render(chapters: Sequence[Chapter]) -> str:
    """The text of the folder's page."""
    return page.render(chapters, environment())


def chapters(contents: Contents, rows: _Rows) -> list[Chapter]:
    """A chapter for each paper of which the folder holds a table, in the catalogue's order; then one of the sweeps.

    What cannot be shown is named in the chapter to which its name belongs, a damaged or foreign folder of any other
    name in the last one.

    Args:
        contents: what the folder holds.
        rows: its scorecard.
    """
    papers = dict.fromkeys(entry.paper for entry in catalogue.ENTRIES)
    found = [*(_paper_chapter(contents, paper, rows) for paper in papers), _sweep_chapter(contents)]
    return [chapter for chapter in found if chapter is not None]


def absent(chapters: Sequence[Chapter]) -> dict[str, str]:
    """The experiments and files that a chapter should show and cannot, each with the reason."""
    return {id: why for chapter in chapters for id, why in chapter.absent.items()}


def environment() -> dict[str, str]:
    """The versions of Python and the libraries, and the machine: what results are made with, in words."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {**versions, "python": platform.python_version(), "machine": platform.platform()}


def _paper_chapter(contents: Contents, paper: Paper, rows: _Rows) -> Chapter | None:
    entries = [entry for entry in catalogue.ENTRIES if entry.paper == paper]
    ours = {entry: _ids_of(entry, contents) for entry in entries}
    if not any(ours.values()):
        return None
    sections: list[Section] = []
    missing: dict[str, str] = {}
    for entry, ids in ours.items():
        if not ids:
            missing[entry.id] = "not in this folder"
        for id in ids:
            if id in contents.faults:
                missing[id] = f"{entry.place}, {contents.faults[id].why}{_not_judged(id, contents, rows)}"
                continue
            on_other = id.removeprefix(entry.id)
            place = f"{entry.place} on {on_other[1:]}" if on_other else entry.place
            sections.append(_section(contents.shown[id], place, entry.title, rows, missing))
    return Chapter(paper.id, paper.title, paper.reference, paper.summary, sections, _few(missing))


def _not_judged(id: str, contents: Contents, rows: _Rows) -> str:
    """How many claims have lost their verdicts with the table, in words that follow the reason."""
    count = sum(row["experiment"] == id for row in rows)
    if not count or contents.faults[id].kind is FaultKind.UNREADABLE_NOW:
        return ""
    return f"; claims not judged: {count}"


def _ids_of(entry: Entry, contents: Contents) -> list[str]:
    """The runs of a paper's experiment in a folder: on its own data first, then those on other data, by name."""
    ids = {*contents.shown, *contents.faults}
    return sorted((id for id in ids if base_of(id) == entry.id), key=lambda id: (id != entry.id, id))


def _sweep_chapter(contents: Contents) -> Chapter | None:
    known = {entry.id for entry in catalogue.ENTRIES}
    missing = {id: fault.why for id, fault in sorted(contents.faults.items()) if base_of(id) not in known}
    sections = [
        _section(shown, id, shown.experiment.title, (), missing)
        for id, shown in sorted(contents.shown.items())
        if isinstance(shown.experiment, SweepExperiment)
    ]
    return Chapter("sweeps", "Sweeps", "", "", sections, _few(missing)) if sections or missing else None


def _section(shown: Shown, place: str, title: str, rows: _Rows, missing: dict[str, str]) -> Section:
    """The section of a stored experiment; a sweep has one size and so names no scale.

    A figure that cannot be read is added to what is ``missing``, and a warning names it.
    """
    experiment, metadata = shown.experiment, shown.metadata
    figure = shown.figure
    if figure is None:
        try:
            figure = shown.stored.read_figure()
        except InputError as error:
            figure = DrawnFigure()
            missing[f"{shown.stored.id}/{shown.stored.figure.stem}"] = str(error).rstrip(".")
            warnings.warn(
                f"A figure is not on the page: {printable(str(error))}", NormscopeWarning, stacklevel=2
            )
    return Section(
        id=experiment.id,
        place=place,
        title=title,
        question=experiment.question,
        method=experiment.method,
        caption=experiment.caption,
        scale="" if metadata.sweep else metadata.scale,
        settings=metadata.settings,
        claims=[row for row in rows if row["experiment"] == experiment.id],
        figure=figure.svg,
        bitmap=figure.png,
        failures=metadata.failures,
        notes=metadata.notes,
        names=_own_names(metadata.data, experiment),
        legend=_full_labels(experiment),
    )


def _few(missing: Mapping[str, str]) -> dict[str, str]:
    """What is missing, by names that can be shown; of very many only the first."""
    named = {printable(id): why for id, why in list(missing.items())[:_MOST_NAMED]}
    left_out = len(missing) - len(named)
    return named | ({"…": f"and {left_out:,} more"} if left_out else {})


def _own_names(data: str, experiment: Experiment) -> list[str]:
    """The names in a section's texts that a user chose."""
    names = [unpinned(data)]
    if isinstance(experiment, SweepExperiment):
        sweep = experiment.sweep
        names += [*sweep.networks, *sweep.norms, sweep.layer or ""]
    return names


def _full_labels(experiment: Experiment) -> dict[str, str]:
    """The entries of the legend of a sweep's figure that differ from the labels they stand for, each with its label."""
    if not isinstance(experiment, SweepExperiment):
        return {}
    from normscope.report.labels import fitted
    from normscope.sweep.readings import labels

    names = list(labels(experiment.sweep).values())
    return {entry: name for entry, name in zip(fitted(names), names, strict=True) if entry != name}
