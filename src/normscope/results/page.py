"""The page of a results folder: a chapter per paper and one of the sweeps, gathered from what is stored.

:mod:`normscope.report.page` lays it out.
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from normscope.data import unpinned
from normscope.disk.reading import read_file
from normscope.errors import InputError
from normscope.papers import catalogue
from normscope.papers.catalogue import Entry
from normscope.papers.sources import Paper
from normscope.protocol import Experiment
from normscope.report import page
from normscope.report.page import Chapter, Section
from normscope.results.experiment_folder import ExperimentFolder
from normscope.results.folder import ResultsFolder
from normscope.sweep import SweepExperiment

_PACKAGES = ("normscope", "torch", "numpy", "pandas", "pyarrow", "matplotlib")
_FIGURE_BYTES = 100_000_000

_Rows = Sequence[Mapping[str, Any]]


def render(folder: ResultsFolder) -> str:
    """The text of the folder's page.

    Raises:
        InputError: when the folder's scorecard is damaged.
    """
    return page.render(chapters(folder), environment())


def chapters(folder: ResultsFolder) -> list[Chapter]:
    """A chapter for each paper of which the folder holds a table, in the catalogue's order; then one of the sweeps.

    Raises:
        InputError: when the folder's scorecard is damaged.
    """
    rows = folder.scorecard.read()
    papers = dict.fromkeys(entry.paper for entry in catalogue.ENTRIES)
    found = [*(_paper_chapter(folder, paper, rows) for paper in papers), _sweep_chapter(folder)]
    return [chapter for chapter in found if chapter is not None]


def absent(folder: ResultsFolder) -> dict[str, str]:
    """The experiments that a chapter should show and cannot, each with the reason."""
    return {id: why for chapter in chapters(folder) for id, why in chapter.absent.items()}


def environment() -> dict[str, str]:
    """The versions of Python and the libraries, and the machine: what results are made with, in words."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {**versions, "python": platform.python_version(), "machine": platform.platform()}


def _paper_chapter(folder: ResultsFolder, paper: Paper, rows: _Rows) -> Chapter | None:
    entries = [entry for entry in catalogue.ENTRIES if entry.paper == paper]
    runs = {entry: [one for one in folder.runs_of(entry.id) if one.table.exists()] for entry in entries}
    if not any(runs.values()):
        return None
    sections: list[Section] = []
    missing: dict[str, str] = {}
    for entry, stored_runs in runs.items():
        for stored in stored_runs or [folder.experiment(entry.id)]:
            found = _paper_section(stored, entry, rows)
            if isinstance(found, Section):
                sections.append(found)
            else:
                missing[stored.id] = found
    return Chapter(paper.id, paper.title, paper.reference, paper.summary, sections, missing)


def _paper_section(stored: ExperimentFolder, entry: Entry, rows: _Rows) -> Section | str:
    """The section of a paper's experiment, or the reason why there is none."""
    if not stored.table.exists():
        return f"{entry.place}, not in this folder"
    try:
        experiment, on_other = stored.read_paper(entry), stored.id.removeprefix(entry.id)
        place = f"{entry.place} on {on_other[1:]}" if on_other else entry.place
        return _section(stored, experiment, place, entry.title, rows)
    except InputError:
        return f"{entry.place}, its stored table cannot be read"


def _sweep_chapter(folder: ResultsFolder) -> Chapter | None:
    sections: list[Section] = []
    missing: dict[str, str] = {}
    for stored in folder.experiments():
        try:
            if (experiment := stored.read_sweep()) is not None:
                sections.append(_section(stored, experiment, experiment.id, experiment.title, rows=()))
        except InputError:
            missing[stored.id] = "its stored table cannot be read"
    return Chapter("sweeps", "Sweeps", "", "", sections, missing) if sections or missing else None


def _section(
    stored: ExperimentFolder, experiment: Experiment, place: str, title: str, rows: _Rows
) -> Section:
    """The section of a stored experiment; a sweep has one size and so names no scale.

    Raises:
        InputError: when its table cannot be read.
    """
    metadata = stored.read_metadata()
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
        figure=read_file(stored.figure, _FIGURE_BYTES) if stored.figure.exists() else None,
        bitmap=read_file(stored.bitmap, _FIGURE_BYTES) if stored.bitmap.exists() else None,
        failures=metadata.failures,
        notes=metadata.notes,
        names=_own_names(metadata.data, experiment),
        legend=_full_labels(experiment),
    )


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
