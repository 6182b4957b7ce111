"""The way through: catalogue → cells → sweep → claims and figures → report."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from normscope import data, runner, store
from normscope.errors import InputError
from normscope.papers import catalogue
from normscope.progress import watching
from normscope.protocol import Cell, Experiment, Result, Scale, empty_table
from normscope.results import files, scorecard, stored
from normscope.runner import Observer, Plan
from normscope.store import Store

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
    reproduction = Reproduction(
        catalogue.load([id]), scale, out, workers, engine=engine, ray_address=ray_address
    )
    with watching(progress) as observer:
        (result,) = reproduction.run(observer)
    return result


class Reproduction:
    """Several experiments, run together so that every core stays busy and shared cells run once.

    Args:
        experiments: the catalogue's, or a grid of the user's.
        scale: ``"quick"``, ``"laptop"`` or ``"paper"``.
        out: the results folder.
        workers: cells side by side; by default one a core.
        timeout: seconds after which a cell counts as failed.
        fresh: run every cell anew, finished or not.
        engine: ``"local"`` or ``"ray"``.
        ray_address: a running Ray cluster to join; by default Ray is started here.
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
        if workers is not None and workers < 1:
            raise InputError(f"{workers} workers cannot run anything: give 1 or more.")
        if timeout is not None and not timeout > 0:
            raise InputError(f"a cell time-out of {timeout:g} s is not positive.")
        data_files = runner.DataFiles(data.portable, data.GIVEN_VARIABLE)
        self._engine = runner.make_engine(engine, ray_address, data_files)
        self._workers = self._engine.cores() if workers is None else workers
        self._timeout, self._fresh = timeout, fresh
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
        digest = functools.cache(functools.partial(data.digest, offline=offline))
        seen = {key for cells in self._cells.values() for key in cells}
        for experiment in self.experiments:
            asked = experiment.cells(self.scale, self._tables[experiment.id])
            self._cells[experiment.id] |= {cell.key(digest): cell for cell in asked}
        unseen = {
            key: cell for cells in self._cells.values() for key, cell in cells.items() if key not in seen
        }
        _check_images(unseen.values())
        plan = runner.plan(unseen, self._store, self._workers, fresh=self._fresh)
        if not self._checked:
            self._check(plan)
            self._checked = True
        return plan

    def run(self, observer: Observer | None = None) -> list[Result]:
        """Run what is missing, judge the claims, write every experiment's folder, the scorecard and the page.

        Args:
            observer: hears of the progress.
        """
        watching = observer or Observer()
        with store.shared_use(self._store.folder), contextlib.closing(self._engine):
            plan = self.plan()
            scorecard.read_scorecard(self.out)
            kept = self._run_missing(plan, watching) or not files.is_read_only(self.out)
            found = [self._result(experiment, kept) for experiment in self.experiments]
            if kept:
                stored.write(self.out, found)
                for result in found:
                    files.remove_unfinished(self.out / result.id)
        return found

    def _run_missing(self, plan: Plan, observer: Observer) -> bool:
        """Run what the store lacks, round by round; tells whether there was anything."""
        ran = False
        while plan.new or plan.reused:
            if plan.new:
                ran = True
                self._store.check_writable()
                for id, cells in self._cells.items():
                    files.write_unfinished(self.out / id, cells.keys())
            observer.planned(plan)
            self._failures |= runner.run(plan, self._store, observer, self._timeout, self._engine)
            self._tables = {id: self._store.table(cells) for id, cells in self._cells.items()}
            plan = self.plan()
        return ran

    def _result(self, experiment: Experiment, kept: bool) -> Result:
        table, cells = self._tables[experiment.id], self._cells[experiment.id]
        failures = {cells[key].describe(): error for key, error in self._failures.items() if key in cells}
        settings = experiment.profile(self.scale).describe()
        claims = tuple(experiment.claims(table))
        notes = [store.mixture([about.provenance for about in self._store.find(cells).values()])]
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
