"""The way through: catalogue → cells → sweep → claims and figures → report."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from normscope import data, sweep
from normscope.errors import InputError
from normscope.grid import Grid, GridExperiment
from normscope.papers import catalogue
from normscope.protocol import Cell, Experiment, NotJudgedError, Result, Scale, empty_table
from normscope.report import files, page, scorecard
from normscope.sweep import Observer, Plan, SilentObserver, Store

DEFAULT_OUT = Path("normscope-runs")

_SWEEP = "sweep"
"""Under which name a stored table tells its grid."""


def reproduce(
    id: str, scale: str = "quick", out: str | os.PathLike[str] | None = None, workers: int | None = None
) -> Result:
    """Reproduce one figure or table of a paper, using every finished cell there is.

    Args:
        id: the exact name, such as ``"chai2020.fig8"``.
        scale: ``"quick"``, ``"laptop"`` or ``"paper"``.
        out: the results folder; by default ``normscope-runs`` here, as on the command line.
        workers: worker processes; by default one a core.

    Returns:
        The table, the judged claims, and the figure on demand.

    Raises:
        UnknownNameError: for an unknown experiment or scale.
        InputError: for a folder that cannot be written or a data set that is not at hand.

    Example:
        >>> result = ns.reproduce("chai2020.fig8")  # doctest: +SKIP
        >>> result.figure().savefig("fig8.png")  # doctest: +SKIP
    """
    several = catalogue.below(id)
    if len(several) > 1:
        names = ", ".join(entry.id for entry in several)
        raise InputError(f"{id!r} stands for several experiments; in Python name one of them: {names}.")
    catalogue.entry(id)
    (result,) = Reproduction(catalogue.load([id]), scale, out, workers).run()
    return result


class Reproduction:
    """Several experiments, run together so that every core stays busy and shared cells run once.

    Args:
        experiments: the catalogue's, or a grid of the user's.
        scale: ``"quick"``, ``"laptop"`` or ``"paper"``.
        out: the results folder.
        workers: worker processes; by default one a core.
        timeout: seconds after which a cell counts as failed.
        fresh: run every cell anew, finished or not.
        engine: what runs the cells.
        ray_address: the cluster to join, for the Ray engine.
        check: called with the first plan, before any cell runs, to refuse what cannot be.
    """

    def __init__(
        self,
        experiments: Iterable[Experiment],
        scale: str = "quick",
        out: str | os.PathLike[str] | None = None,
        workers: int | None = None,
        *,
        timeout: float | None = None,
        fresh: bool = False,
        engine: str = "local",
        ray_address: str | None = None,
        check: Callable[[Plan], None] = lambda plan: None,
    ) -> None:
        self.experiments = list(experiments)
        self.scale = Scale.parse(scale)
        self.out = Path(DEFAULT_OUT if out is None else out)
        self._workers = default_workers() if workers is None else workers
        if self._workers < 1:
            raise InputError(f"{self._workers} workers cannot run anything: give 1 or more.")
        if timeout is not None and not timeout > 0:
            raise InputError(f"a cell time-out of {timeout:g} s is not positive.")
        self._timeout, self._fresh = timeout, fresh
        self._engine, self._ray_address = engine, ray_address
        self._check, self._checked = check, False
        self._store = Store(self.out / "cells")
        self._tables = {experiment.id: empty_table() for experiment in self.experiments}
        self._cells: dict[str, dict[str, Cell]] = {experiment.id: {} for experiment in self.experiments}
        self._failures: dict[str, str] = {}

    def datasets(self) -> set[str]:
        """Names of the data sets that the first round of cells reads."""
        return {
            name
            for experiment in self.experiments
            for cell in experiment.cells(self.scale, empty_table())
            for name in cell.data
        }

    def plan(self, *, offline: bool = False) -> Plan:
        """The next round's cells, found and new; the first round's when nothing has run yet.

        Args:
            offline: take the published digest of a data set that is not here, rather than download it.

        Raises:
            InputError: when a data set has fewer training images than a cell needs, or the check refuses.
        """
        digest = _digest_offline if offline else data.digest
        seen = {key for cells in self._cells.values() for key in cells}
        for experiment in self.experiments:
            asked = experiment.cells(self.scale, self._tables[experiment.id])
            self._cells[experiment.id] |= {cell.key(digest): cell for cell in asked}
        unseen = {
            key: cell for cells in self._cells.values() for key, cell in cells.items() if key not in seen
        }
        _check_images(unseen.values())
        plan = sweep.plan(unseen, self._store, self._workers, fresh=self._fresh)
        if not self._checked:
            self._check(plan)
            self._checked = True
        return plan

    def run(self, observer: Observer | None = None) -> list[Result]:
        """Run what is missing, judge the claims, write every experiment's folder, the scorecard and the page.

        Args:
            observer: hears of the progress.
        """
        watching = observer or SilentObserver()
        plan = self.plan()
        self._store.check_writable()
        scorecard.read_scorecard(self.out)
        while plan.new or plan.reused:
            watching.planned(plan)
            self._failures |= sweep.run(plan, self._store, watching, self._timeout)
            self._tables = {id: self._store.table(cells) for id, cells in self._cells.items()}
            plan = self.plan()
        results = [self._result(experiment) for experiment in self.experiments]
        _write_results(self.out, results)
        write_report(self.out)
        return results

    def _result(self, experiment: Experiment) -> Result:
        table, cells = self._tables[experiment.id], self._cells[experiment.id]
        failures = {cells[key].describe(): error for key, error in self._failures.items() if key in cells}
        settings = experiment.profile(self.scale).describe()
        claims = tuple(experiment.claims(table))
        return Result(experiment.id, self.scale, table, claims, failures, settings, experiment)


def rebuild(out: Path) -> list[Result]:
    """Judge and draw every stored experiment of a results folder again, and write its scorecard and page.

    Raises:
        InputError: when the folder holds no results.
    """
    results = [_stored_result(stored) for stored in _stored(out)]
    if not results:
        raise InputError(f"{out} holds no results: name a folder that normscope has written.")
    _write_results(out, results)
    write_report(out)
    return results


def default_workers() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment() -> dict[str, str]:
    """What results are made with, in words."""
    names = ("normscope", "torch", "numpy", "pandas", "pyarrow", "matplotlib")
    versions = {name: importlib.metadata.version(name) for name in names}
    return {**versions, "python": platform.python_version(), "machine": platform.platform()}


def write_report(out: Path) -> Path:
    """Write the page of everything that a results folder holds."""
    rows = scorecard.read_scorecard(out)
    sections = []
    for stored in _stored(out):
        about, experiment = stored.about, stored.experiment
        figure = stored.path.with_name("figure.svg")
        section = page.Section(
            id=experiment.id,
            title=stored.title,
            source=stored.source,
            caption=experiment.caption,
            scale=stored.scale,
            settings=about["settings"],
            claims=[row for row in rows if row["experiment"] == experiment.id],
            figure=figure if figure.exists() else None,
            failures=about["failures"],
        )
        sections.append(section)
    return page.write_page(out, sections, environment())


def _check_images(cells: Iterable[Cell]) -> None:
    wanted: dict[str, int] = {}
    for cell in cells:
        for name in cell.data:
            wanted[name] = max(wanted.get(name, 0), cell.images)
    for name, count in wanted.items():
        here = data.available(name)[0]
        there_are = len(data.load(name).train_labels) if here else data.CATALOGUE[name].train
        if count > there_are:
            raise InputError(f"{count:,} training images of {name} are wanted, but it has {there_are:,}.")


def _digest_offline(name: str) -> str:
    return data.digest(name) if data.available(name)[0] else data.CATALOGUE[name].digest


@dataclasses.dataclass(frozen=True)
class _Stored:
    """A table of a results folder, and what is known of the experiment behind it; a sweep has no scale."""

    path: Path
    about: Mapping[str, Any]
    experiment: Experiment
    title: str
    source: str
    scale: str


def _stored(out: Path) -> list[_Stored]:
    """The tables of a results folder: the catalogue's in its order, then the sweeps by name."""
    found = []
    for entry in catalogue.ENTRIES:
        path = out / entry.id / files.DATA_NAME
        if path.exists():
            about = files.read_about(path)
            source = f"{entry.paper}, {entry.place}"
            found.append(_Stored(path, about, entry.load(), entry.title, source, about["scale"]))
    for path in sorted(out.glob(f"*/{files.DATA_NAME}")):
        if (grid := read_sweep(path)) is not None:
            sweep_of = GridExperiment(path.parent.name, grid)
            found.append(_Stored(path, files.read_about(path), sweep_of, sweep_of.title, "a sweep", ""))
    return found


def read_sweep(path: Path) -> Grid | None:
    """The grid whose table a file is; ``None`` for any other file.

    Raises:
        InputError: when another version of normscope wrote it.
    """
    try:
        about = files.read_about(path)
    except InputError:
        return None
    try:
        return Grid.from_json(about[_SWEEP]) if _SWEEP in about else None
    except TypeError as error:
        raise InputError(
            f"{path} was written by another version of normscope: run its sweep again."
        ) from error


def _stored_result(stored: _Stored) -> Result:
    table, about = files.read_table(stored.path)
    experiment = stored.experiment
    claims = tuple(experiment.claims(table))
    scale = Scale(about["scale"])
    return Result(experiment.id, scale, table, claims, about["failures"], about["settings"], experiment)


def _write_results(out: Path, results: Sequence[Result]) -> None:
    for result in results:
        folder = out / result.id
        about = {"scale": result.scale, "settings": dict(result.settings), "failures": dict(result.failures)}
        if isinstance(result.experiment, GridExperiment):
            about[_SWEEP] = result.experiment.grid.to_json()
        files.write_table(folder / files.DATA_NAME, result.table, about)
        try:
            files.write_figure(folder, result.figure())
        except NotJudgedError:
            files.remove_figure(folder)
    rows = [row for result in results for row in result.scorecard()]
    scorecard.update_scorecard(out, rows, [entry.id for entry in catalogue.ENTRIES])
