"""A results folder: every experiment's table, figure and claims, written and read back, and the page of them all."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from normscope.errors import InputError
from normscope.papers import catalogue
from normscope.protocol import Experiment, NotJudgedError, Result, Scale
from normscope.report import page
from normscope.results import files, scorecard, tour
from normscope.sweep import Sweep, SweepExperiment

_SWEEP = "sweep"
"""Under which name a stored table tells its sweep."""


def write(out: Path, results: Sequence[Result]) -> None:
    """Write every experiment's table and figure, bring the scorecard up to date, and write the page."""
    with files.writing(out):
        for result in results:
            _write_one(out / result.id, result)
        rows = [row for result in results for row in result.scorecard()]
        scorecard.update_scorecard(out, rows, [entry.id for entry in catalogue.ENTRIES])
        text = page.render([*tour.chapters(out), *_sweeps(out)], environment())
        files.write_text(out / "report.html", text)


def rebuild(out: Path) -> list[Result]:
    """Judge and draw every stored experiment of a results folder again, and write its scorecard and page.

    The page names those whose table cannot be read.

    Raises:
        InputError: when the folder holds no results, or none that can be read.
    """
    results, unreadable = [], None
    for path, experiment in _stored(out):
        try:
            results.append(_read_one(path, experiment))
        except InputError as error:
            unreadable = error
    if not results and unreadable is not None:
        raise unreadable
    if not results:
        raise InputError(f"{out} holds no results: name a folder that normscope has written.")
    write(out, results)
    return results


def read_sweep(path: Path) -> Sweep | None:
    """The sweep whose table a file is; ``None`` for any other file.

    Raises:
        InputError: when another version of normscope wrote it.
    """
    try:
        about = files.read_about(path)
    except InputError:
        return None
    try:
        return Sweep.from_json(about[_SWEEP]) if _SWEEP in about else None
    except TypeError as error:
        raise InputError(
            f"{path} was written by another version of normscope: run its sweep again."
        ) from error


def environment() -> dict[str, str]:
    """What results are made with, in words."""
    names = ("normscope", "torch", "numpy", "pandas", "pyarrow", "matplotlib")
    versions = {name: importlib.metadata.version(name) for name in names}
    return {**versions, "python": platform.python_version(), "machine": platform.platform()}


def _stored(out: Path) -> Iterator[tuple[Path, Experiment]]:
    """The tables of a results folder: the catalogue's in its order, then the sweeps by name."""
    for entry in catalogue.ENTRIES:
        path = out / entry.id / files.DATA_NAME
        if path.exists():
            yield path, entry.load()
    yield from _stored_sweeps(out)


def _stored_sweeps(out: Path) -> Iterator[tuple[Path, SweepExperiment]]:
    for path in sorted(out.glob(f"*/{files.DATA_NAME}")):
        if (sweep := read_sweep(path)) is not None:
            yield path, SweepExperiment(path.parent.name, sweep)


def _sweeps(out: Path) -> list[page.Chapter]:
    """The folder's sweeps as the page's last chapter; they have no claims and no scale."""
    sections = [
        dataclasses.replace(tour.section(experiment, path, [], experiment.id, experiment.title), scale="")
        for path, experiment in _stored_sweeps(out)
    ]
    return [page.Chapter("sweeps", "Sweeps", "", "", sections)] if sections else []


def _read_one(path: Path, experiment: Experiment) -> Result:
    table, about = files.read_table(path)
    claims, notes = tuple(experiment.claims(table)), tuple(about.get("notes", ()))
    return Result(
        id=experiment.id,
        scale=Scale(about["scale"]),
        table=table,
        claims=claims,
        failures=about["failures"],
        settings=about["settings"],
        experiment=experiment,
        notes=notes,
    )


def _write_one(folder: Path, result: Result) -> None:
    about: dict[str, Any] = {
        "scale": result.scale,
        "settings": dict(result.settings),
        "failures": dict(result.failures),
        "notes": result.notes,
    }
    if isinstance(result.experiment, SweepExperiment):
        about[_SWEEP] = result.experiment.sweep.to_json()
    files.write_table(folder / files.DATA_NAME, result.table, about)
    try:
        files.write_figure(folder, result.figure())
    except NotJudgedError:
        files.remove_figure(folder)
