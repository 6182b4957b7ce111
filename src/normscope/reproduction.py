"""The way of the data: experiments ask for cells, the missing cells run, the rows are judged, drawn and written."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from normscope import data as datasets
from normscope import devices, runner, store
from normscope.data.published import remark
from normscope.errors import DamagedError, InputError, NormscopeWarning
from normscope.options import RunOptions
from normscope.papers import catalogue, other_data
from normscope.papers.other_data import OnOtherData
from normscope.papers.shared.images import facts_here
from normscope.progress import watching
from normscope.protocol import Cell, Experiment, Result, Scale, empty_table
from normscope.results import ResultsFolder
from normscope.results.stored_run import judging_cells
from normscope.results.writing import name_damaged, write_results
from normscope.runner import Observer, Plan

if TYPE_CHECKING:
    import pandas as pd

    from normscope.store import Store


def reproduce(
    id: str,
    scale: str = "quick",
    out: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    *,
    engine: str = "local",
    ray_address: str | None = None,
    progress: bool | None = None,
    data: str | None = None,
    device: str = "cpu",
) -> Result:
    """Reproduce one figure or table of a paper; only the cells that the results folder lacks are run.

    Args:
        id: the exact name of the experiment, such as ``"chai2020.fig8"``.
        scale: ``"quick"``, ``"laptop"`` or ``"paper"``.
        out: the results folder; by default ``normscope-runs`` in the working directory.
        workers: how many cells run in parallel; by default one per core, or four per GPU.
        engine: ``"local"``, worker processes of this machine, or ``"ray"``, tasks of a Ray cluster.
        ray_address: a running Ray cluster to join; by default Ray is started here.
        progress: whether to show progress; by default only in a notebook.
        data: another data set than the paper's: a name of the catalogue, ``"module:loader"``, ``"idx:FOLDER"`` or
            ``"images:FOLDER"``. The results go under ``"<id>@<data>"``, next to the paper's own, and say so.
        device: ``"cpu"``, ``"cuda"``, ``"mps"``, or ``"auto"``: an accelerator where there is one. Finished cells are
            found again on the same kind of device only.

    Returns:
        The table, the judged claims, and the figure on demand.

    Raises:
        UnknownNameError: for an unknown experiment, scale, engine, device or data set.
        InputError: when the folder cannot be written, a data set is missing, the paper's network cannot classify it, or
            the device is not there or lacks float64, which a cell needs.

    Example:
        >>> result = ns.reproduce("chai2020.fig8")  # doctest: +SKIP
        >>> result.figure().savefig("fig8.png")  # doctest: +SKIP
    """
    found = catalogue.find(id)
    if not any(id in (entry.id, *entry.aliases) for entry in found):
        names = ", ".join(entry.id for entry in found)
        raise InputError(f"{id!r} stands for several experiments; in Python name one of them: {names}.")
    options = RunOptions(
        ResultsFolder(out), Scale.parse(scale), workers, engine=engine, ray_address=ray_address, device=device
    )
    experiments = other_data.on(catalogue.load([id]), data, options.scale)
    with watching(progress) as observer:
        (result,) = Reproduction(experiments, options).run(observer)
    return result


@dataclasses.dataclass(frozen=True)
class ReproductionPlan(Plan):
    """The cells that a run would find and those that it would run, in all and by experiment.

    Attributes:
        parts: every experiment's own cells, by its name; a cell that several experiments share is in each one's.
    """

    parts: Mapping[str, Plan] = dataclasses.field(default_factory=dict)


class Reproduction:
    """Several experiments that are run together, so that every core is busy and a shared cell runs once.

    An experiment lists the cells that it needs, given the rows of those that are finished; it is asked again, round by
    round, until it lists no others.

    Args:
        experiments: experiments of the catalogue, or users' sweeps.
        options: where, how and at which scale they are run.
        check: called with the plan of the first round before any cell runs; it raises to refuse the run.

    Raises:
        InputError: when the engine cannot be used, or has no such device.
    """

    def __init__(
        self,
        experiments: Iterable[Experiment],
        options: RunOptions,
        check: Callable[[Plan], None] = lambda plan: None,
    ) -> None:
        self.experiments = list(experiments)
        self.options = options
        self._check = check
        self._store = options.folder.store
        data_files = runner.DataFiles(datasets.portable, datasets.GIVEN_VARIABLE)
        self._engine = runner.make_engine(options.engine, options.ray_address, data_files)
        self._device = self._engine.kind_of(options.device)
        self._workers = options.workers or self._engine.workers(self._device)

    def datasets(self) -> set[str]:
        """The names of the data sets that the first round of cells reads."""
        first = (experiment.cells(self.options.scale, empty_table()) for experiment in self.experiments)
        return {name for cells in first for cell in cells for name in cell.data}

    def plan(self, *, offline: bool = False) -> ReproductionPlan:
        """The first round that has new cells, as :meth:`run` would run it; earlier rounds' cells count as reused.

        Nothing changes: no cell runs, nothing is written, and a damaged file stays where it is until a run reads it.

        Args:
            offline: use the published digest of a data set that is not here, rather than download it.

        Raises:
            InputError: when a data set has fewer training images than a cell needs, or the check refuses the run.
        """
        with self._store.looking_only():
            return self._plan(offline)

    def _plan(self, offline: bool) -> ReproductionPlan:
        requests = [_Request(experiment, self._device) for experiment in self.experiments]
        rounds = []
        for plan in self._rounds(requests, offline=offline):
            rounds.append(plan)
            if plan.new:
                break
        last = rounds[-1]
        reused = {key: cell for plan in rounds for key, cell in plan.reused.items()}
        damaged = sum(plan.damaged for plan in rounds)
        parts = {request.experiment.id: self._part(request, reused, last.new) for request in requests}
        return ReproductionPlan(reused, last.new, last.workers, last.estimate, damaged, parts)

    def _part(self, request: _Request, reused: Mapping[str, Cell], new: Mapping[str, Cell]) -> Plan:
        """One experiment's part of a plan; its time goes by the finished cells of all experiments."""
        own = {key: cell for key, cell in new.items() if key in request.cells}
        plan = runner.plan({**reused, **own}, self._store, self._workers, fresh=self.options.fresh)
        return dataclasses.replace(
            plan, reused={key: cell for key, cell in reused.items() if key in request.cells}
        )

    def run(self, observer: Observer | None = None) -> list[Result]:
        """Run the missing cells, judge the claims, and write every experiment's folder, the scorecard and the page.

        Args:
            observer: is told of the progress.

        Returns:
            The results, in the experiments' order.

        Raises:
            InputError: as for :meth:`plan`; when the results folder cannot be written, its scorecard cannot be read, or
                the rows of its cells cannot be judged or drawn.
        """
        folder, observer = self.options.folder, observer or Observer()
        requests = [_Request(experiment, self._device) for experiment in self.experiments]
        failures: dict[str, str] = {}
        ran = False
        with store.shared_use(self._store.folder), contextlib.closing(self._engine):
            self._check_folder()
            for plan in self._rounds(requests):
                if plan.new:
                    ran = True
                    self._store.check_writable()
                    for request in requests:
                        folder.experiment(request.experiment.id).write_unfinished(request.cells)
                self._name_damaged(plan)
                observer.planned(plan)
                failures |= runner.run(plan, self._store, observer, self.options.cell_timeout, self._engine)
            writable = ran or not folder.is_read_only()
            results = [self._result(request, failures, writable) for request in requests]
            if not writable:
                for result in results:
                    name_damaged(folder.experiment(result.id), is_replaced=False)
            else:
                write_results(folder, results)
                for result in results:
                    folder.experiment(result.id).remove_unfinished()
        return results

    def _check_folder(self) -> None:
        """Refuse, before it starts, a run whose results could not be written.

        Raises:
            InputError: the scorecard cannot be read now, or an experiment's folder is a link.
        """
        folder = self.options.folder
        with contextlib.suppress(DamagedError):  # it is made again at the end
            folder.scorecard.read()
        for experiment in self.experiments:
            folder.experiment(experiment.id).refuse_link()

    def _name_damaged(self, plan: Plan) -> None:
        if plan.damaged:
            first, *others = self._store.damaged[-plan.damaged :]
            more = f" and {len(others):,} more" if others else ""
            warnings.warn(f"damaged, so its cells run again: {first}{more}.", NormscopeWarning, stacklevel=3)

    def _rounds(self, requests: Sequence[_Request], *, offline: bool = False) -> Iterator[Plan]:
        """One plan per round, with the cells that no earlier round had; the first round's even if it has none.

        The caller runs a plan's new cells before it takes the next plan.
        """
        digest = functools.cache(functools.partial(datasets.digest, offline=offline))
        planned: set[str] = set()
        for number in itertools.count():
            asked_more = [request.ask(self.options.scale, self._store, digest) for request in requests]
            if number > 0 and not any(asked_more):
                return
            asked = {key: cell for request in requests for key, cell in request.cells.items()}
            cells = {key: cell for key, cell in asked.items() if key not in planned}
            if number > 0 and not cells:
                continue  # an experiment asks for cells that another one has asked for before
            _check_images(cells.values())
            plan = runner.plan(cells, self._store, self._workers, fresh=self.options.fresh)
            if number == 0:
                self._check(plan)
            yield plan
            planned |= cells.keys()

    def _result(self, request: _Request, failures: Mapping[str, str], writable: bool) -> Result:
        experiment, cells = request.experiment, request.cells
        names = sorted({name for cell in cells.values() for name in cell.data})
        data_note = _data_note(experiment, self.options.scale, names)
        with judging_cells(experiment.id):
            claims = tuple(experiment.claims(request.table))
        provenances = [about.provenance for about in self._store.find(cells).values()]
        notes = [data_note, store.mixture(provenances)]
        settings = dict(experiment.profile(self.options.scale).describe())
        if self._device != "cpu":
            settings["device"] = devices.described(self._device, [one.accelerator for one in provenances])
        if not writable:
            notes.append(f"{self.options.folder} is read-only: nothing was written.")
        return Result(
            id=experiment.id,
            scale=self.options.scale,
            table=request.table,
            claims=claims,
            failures={cells[key].describe(): error for key, error in failures.items() if key in cells},
            settings=settings,
            experiment=experiment,
            notes=tuple(filter(None, notes)),
            data=", ".join(names),
            data_note=data_note,
        )


@dataclasses.dataclass
class _Request:
    """What one experiment has asked for during a run: its cells by key, and the rows of the finished ones."""

    experiment: Experiment
    device: str
    cells: dict[str, Cell] = dataclasses.field(default_factory=dict)
    table: pd.DataFrame = dataclasses.field(default_factory=empty_table)

    def ask(self, scale: Scale, store: Store, digest: Callable[[str], str]) -> bool:
        """Read the rows of the cells so far, add the cells that the experiment asks for; tell whether any is new."""
        if self.cells:
            self.table = store.table(self.cells)
        cells = [cell.on(self.device) for cell in self.experiment.cells(scale, self.table)]
        asked = {cell.key(digest): cell for cell in cells}
        is_more = not asked.keys() <= self.cells.keys()
        self.cells |= asked
        return is_more


def _data_note(experiment: Experiment, scale: Scale, names: Iterable[str]) -> str:
    """What a reader of the results must know of the data: that they are not the paper's, or not as published."""
    on_other = experiment.note(scale) if isinstance(experiment, OnOtherData) else ""
    found = [datasets.load(name) for name in names if name in datasets.CATALOGUE]
    remarks = [remark(one.name, one.digest, one.official) for one in found]
    sentence = "; ".join(filter(None, [on_other, *remarks]))
    return f"{sentence[0].upper()}{sentence[1:]}." if sentence else ""


def _check_images(cells: Iterable[Cell]) -> None:
    """Refuse cells that need more training images than their data set has."""
    wanted: dict[str, int] = {}
    for cell in cells:
        for name in cell.data:
            wanted[name] = max(wanted.get(name, 0), cell.images)
    for name, count in wanted.items():
        if count > (size := facts_here(name).train):
            raise InputError(f"{count:,} training images of {name} are wanted, but it has {size:,}.")
