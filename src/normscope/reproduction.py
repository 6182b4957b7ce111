"""The way through: catalogue → cells → sweep → claims and figures → report."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from normscope import data, sweep
from normscope.errors import InputError
from normscope.papers import catalogue, tour
from normscope.progress import watching
from normscope.protocol import Cell, Experiment, NotJudgedError, Result, Scale, empty_table
from normscope.report import files, page, scorecard
from normscope.sweep import Observer, Plan, SilentObserver, Store

DEFAULT_OUT = Path("normscope-runs")


def reproduce(
    id: str,
    scale: str = "quick",
    out: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    *,
    engine: str = "local",
    ray_address: str | None = None,
    progress: bool | None = None,
) -> Result:
    """Reproduce one figure or table of a paper, using every finished cell there is.

    Args:
        id: the exact name, such as ``"chai2020.fig8"``.
        scale: ``"quick"``, ``"laptop"`` or ``"paper"``.
        out: the results folder; by default ``normscope-runs`` here, as on the command line.
        workers: cells side by side; by default one a core.
        engine: ``"local"``, worker processes of this machine, or ``"ray"``, Ray's tasks.
        ray_address: a running Ray cluster to join; by default Ray is started here.
        progress: whether to show how it gets on; by default in a notebook only.

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
    reproduction = Reproduction([id], scale, out, workers, engine=engine, ray_address=ray_address)
    with watching(progress) as observer:
        (result,) = reproduction.run(observer)
    return result


class Reproduction:
    """Several experiments, run together so that every core stays busy and shared cells run once.

    Args:
        patterns: names, prefixes or ``"all"``.
        scale: ``"quick"``, ``"laptop"`` or ``"paper"``.
        out: the results folder.
        workers: cells side by side; by default one a core.
        timeout: seconds after which a cell counts as failed.
        fresh: run every cell anew, finished or not.
        engine: ``"local"`` or ``"ray"``.
        ray_address: a running Ray cluster to join; by default Ray is started here.
    """

    def __init__(
        self,
        patterns: Iterable[str],
        scale: str = "quick",
        out: str | os.PathLike[str] | None = None,
        workers: int | None = None,
        *,
        timeout: float | None = None,
        fresh: bool = False,
        engine: str = "local",
        ray_address: str | None = None,
    ) -> None:
        self.experiments = [entry.load() for entry in catalogue.find_all(patterns)]
        self.scale = Scale.parse(scale)
        self.out = Path(DEFAULT_OUT if out is None else out)
        if workers is not None and workers < 1:
            raise InputError(f"{workers} workers cannot run anything: give 1 or more.")
        if timeout is not None and not timeout > 0:
            raise InputError(f"a cell time-out of {timeout:g} s is not positive.")
        freight = sweep.Freight(data.portable, data.GIVEN_VARIABLE)
        self._engine = sweep.make_engine(engine, ray_address, freight)
        self._workers = self._engine.cores() if workers is None else workers
        self._timeout, self._fresh = timeout, fresh
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
        """
        digest = digest_offline if offline else data.digest
        seen = {key for cells in self._cells.values() for key in cells}
        for experiment in self.experiments:
            asked = experiment.cells(self.scale, self._tables[experiment.id])
            self._cells[experiment.id] |= {cell.key(digest): cell for cell in asked}
        unseen = {
            key: cell for cells in self._cells.values() for key, cell in cells.items() if key not in seen
        }
        return sweep.plan(unseen, self._store, self._workers, fresh=self._fresh)

    def run(self, observer: Observer | None = None) -> list[Result]:
        """Run what is missing, judge the claims, write every experiment's folder, the scorecard and the page.

        Args:
            observer: hears of the progress.
        """
        watching = observer or SilentObserver()
        scorecard.read_scorecard(self.out)
        with self._store.in_use(), contextlib.closing(self._engine):
            kept = self._run_missing(watching) or not files.is_read_only(self.out)
            results = [self._result(experiment, kept) for experiment in self.experiments]
            if kept:
                _write_results(self.out, results)
                for result in results:
                    files.remove_unfinished(self.out / result.id)
        return results

    def _run_missing(self, observer: Observer) -> bool:
        """Run what the store lacks, round by round; tells whether there was anything."""
        ran = False
        while (plan := self.plan()).new or plan.reused:
            if plan.new:
                ran = True
                self._store.check_writable()
                for id, cells in self._cells.items():
                    files.write_unfinished(self.out / id, cells.keys())
            observer.planned(plan)
            self._failures |= sweep.run(plan, self._store, observer, self._timeout, self._engine)
            self._tables = {id: self._store.table(cells) for id, cells in self._cells.items()}
        return ran

    def _result(self, experiment: Experiment, kept: bool) -> Result:
        table, cells = self._tables[experiment.id], self._cells[experiment.id]
        failures = {cells[key].describe(): error for key, error in self._failures.items() if key in cells}
        settings = experiment.profile(self.scale).describe()
        claims = tuple(experiment.claims(table))
        notes = [sweep.mixture([about.provenance for about in self._store.find(cells).values()])]
        if not kept:
            notes.append(f"{self.out} is read-only: nothing was written.")
        return Result(
            experiment.id,
            self.scale,
            table,
            claims,
            failures,
            settings,
            experiment,
            tuple(filter(None, notes)),
        )


def rebuild(out: Path) -> list[Result]:
    """Judge and draw every stored experiment of a results folder again, and write its scorecard and page.

    The page names those whose table cannot be read.

    Raises:
        InputError: when the folder holds no results, or none that can be read.
    """
    results, unreadable = [], None
    for path in _stored(out):
        try:
            results.append(_stored_result(path))
        except InputError as error:
            unreadable = error
    if not results and unreadable is not None:
        raise unreadable
    if not results:
        raise InputError(f"{out} holds no results: name a folder that 'normscope reproduce' has written.")
    _write_results(out, results)
    return results


def environment() -> dict[str, str]:
    """What results are made with, in words."""
    names = ("normscope", "torch", "numpy", "pandas", "pyarrow", "matplotlib")
    versions = {name: importlib.metadata.version(name) for name in names}
    return {**versions, "python": platform.python_version(), "machine": platform.platform()}


def write_report(out: Path) -> Path:
    """Write the page of everything that a results folder holds."""
    return page.write_page(out, tour.chapters(out), environment())


def digest_offline(name: str) -> str:
    """A data set's digest, the published one where it is not at hand."""
    return data.digest(name) if data.available(name)[0] else data.CATALOGUE[name].digest


def _stored(out: Path) -> list[Path]:
    """The tables of a results folder, in the catalogue's order."""
    paths = (out / entry.id / files.DATA_NAME for entry in catalogue.ENTRIES)
    return [path for path in paths if path.exists()]


def _stored_result(path: Path) -> Result:
    table, about = files.read_table(path)
    experiment = catalogue.entry(path.parent.name).load()
    claims = tuple(experiment.claims(table))
    scale, notes = Scale(about["scale"]), tuple(about.get("notes", ()))
    return Result(
        experiment.id, scale, table, claims, about["failures"], about["settings"], experiment, notes
    )


def _write_results(out: Path, results: Sequence[Result]) -> None:
    with files.writing(out):
        for result in results:
            _write_result(out / result.id, result)
        rows = [row for result in results for row in result.scorecard()]
        scorecard.update_scorecard(out, rows, [entry.id for entry in catalogue.ENTRIES])
        write_report(out)


def _write_result(folder: Path, result: Result) -> None:
    about = {
        "scale": result.scale,
        "settings": dict(result.settings),
        "failures": dict(result.failures),
        "notes": result.notes,
    }
    files.write_table(folder / files.DATA_NAME, result.table, about)
    try:
        files.write_figure(folder, result.figure())
    except NotJudgedError:
        files.remove_figure(folder)
