"""``normscope clean``: removing from a results folder what nothing refers to.

Removed are cells that no experiment refers to, older copies of cells, damaged files that were set aside, and files that
killed processes left half-written. This file decides which cells are referred to; :mod:`normscope.store.pruning`
removes the others.

A table or a note that cannot be read may refer to any cell. Then every cell stays, and a warning names the file.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from normscope import data, devices
from normscope.disk.aside import ASIDE, set_aside
from normscope.disk.reading import is_real_folder, names_in
from normscope.errors import DamagedError, DataError, InputError, NormscopeWarning, printable
from normscope.papers import catalogue
from normscope.papers.other_data import SEPARATOR, OnOtherData
from normscope.protocol import Cell, Experiment, Scale, empty_table
from normscope.results.contents import MOST_NAMED, Contents, read_run
from normscope.results.experiment_folder import ExperimentFolder
from normscope.results.folder import ResultsFolder
from normscope.store import Store, exclusive_use
from normscope.store.pruning import Removal, clean_store, remove_files

_LOST_NOTE = (
    "the note of a run that has not ended was damaged: run it again, or remove its folder _unreadable"
)


def clean(folder: ResultsFolder, *, dry_run: bool = False) -> list[Removal]:
    """Remove what no experiment refers to, and what crashes have left behind.

    A cell is referred to when an experiment of the catalogue asks for it, at any scale and given the rows that are
    stored; when a table in the folder holds its rows; or when a run that has not ended waits for it.

    Args:
        folder: the results folder.
        dry_run: remove nothing; only list what would be removed.

    Returns:
        What was, or would be, removed, by kind.

    Raises:
        InputError: when the folder holds no results, or cannot be read or written.
        StoreError: when a run is using the folder.
    """
    if not (folder.experiments() or folder.store.keys()):
        raise InputError(f"{folder} holds no results: name a folder that normscope has written.")
    if dry_run:
        with folder.store.looking_only():
            return _clean(folder, dry_run=True)
    with exclusive_use(folder.store.folder):
        return _clean(folder, dry_run=False)


def _clean(folder: ResultsFolder, *, dry_run: bool) -> list[Removal]:
    stored = folder.experiments()
    _name_damaged_cells(folder.store, dry_run=dry_run)
    referred, others, doubts = _referred_by(stored, dry_run=dry_run)
    if doubts:
        named = "; ".join(
            f"{printable(id)}: {printable(why)}" for id, why in list(doubts.items())[:MOST_NAMED]
        )
        if (left_out := len(doubts) - MOST_NAMED) > 0:
            named += f"; and {left_out:,} more"
        warnings.warn(
            f"every cell is kept, since what cannot be read may refer to any ({named}).",
            NormscopeWarning,
            stacklevel=2,
        )
        referred = folder.store.keys()
    else:
        for experiment in [*(entry.load() for entry in catalogue.ENTRIES), *others]:
            referred |= _cells_at_any_scale(experiment, folder.store)
    removals = clean_store(folder.store, referred, dry_run=dry_run)
    try:
        rest = [
            remove_files("half-written tables, figures and pages", folder.leftovers(), dry_run=dry_run),
            remove_files(
                "damaged tables, scorecards and pages", _needless(folder, stored, doubts), dry_run=dry_run
            ),
        ]
    except OSError as error:
        raise InputError(f"cannot clean {folder}: {error.strerror or error}.") from error
    return [*removals, *(removal for removal in rest if removal.count)]


def _name_damaged_cells(store: Store, *, dry_run: bool) -> None:
    """Find the damaged files of cells before anything is decided, so that one of them does not stop the cleaning."""
    store.find(store.keys())
    if count := len(store.damaged):
        more = f" and {count - 1:,} more" if count > 1 else ""
        goes = "" if dry_run else ", and goes"
        warnings.warn(
            f"{store.damaged[0]}{more} is damaged{goes}: the next run of its experiment makes its cells again.",
            NormscopeWarning,
            stacklevel=2,
        )


def _referred_by(
    folders: Sequence[ExperimentFolder], *, dry_run: bool
) -> tuple[set[str], list[Experiment], dict[str, str]]:
    """What the experiments' folders refer to.

    Returns:
        The keys of their cells; the experiments on other data than the paper's; and the folders that may refer to any
        cell, each with the reason.
    """
    keys: set[str] = set()
    others: list[Experiment] = []
    contents = Contents()
    for stored in folders:
        with contents.noting(stored.id):
            if (run := read_run(stored)) is not None:
                keys |= run.cells()
                if SEPARATOR in stored.id:
                    with contextlib.suppress(InputError):
                        others.append(run.experiment())
            keys |= _waited_for(stored, dry_run=dry_run)
    return keys, others, {id: fault.why for id, fault in contents.faults.items()}


def _waited_for(stored: ExperimentFolder, *, dry_run: bool) -> set[str]:
    """The cells of a run that has not ended. A damaged note of one is set aside.

    Raises:
        InputError: the note is damaged, or was, and its run has not ended since; or it cannot be read now.
    """
    if any(path.name.startswith(stored.unfinished.name) for path in stored.set_aside_files()):
        raise InputError(_LOST_NOTE)
    try:
        return stored.unfinished_cells()
    except DamagedError:
        if not dry_run:
            set_aside(stored.unfinished)
        raise InputError(_LOST_NOTE) from None


def _needless(
    folder: ResultsFolder, stored: Sequence[ExperimentFolder], doubts: Collection[str]
) -> Iterator[Path]:
    """The files that were set aside and that nothing waits for: those whose content has been made again."""
    aside = folder.path / ASIDE
    if is_real_folder(aside):
        yield from (aside / name for name in names_in(aside))
    for one in stored:
        if one.id not in doubts:
            yield from one.set_aside_files()


def _cells_at_any_scale(experiment: Experiment, store: Store) -> set[str]:
    """The keys of all cells that a paper's experiment asks for, on its data."""
    if not isinstance(experiment, OnOtherData):
        return {key for scale in Scale for key in _cells_of(experiment, scale, store)}
    try:
        if not experiment.is_here():
            return set()
        return {key for scale in Scale for key in _cells_of(experiment, scale, store)}
    except (InputError, DataError):
        return set()  # the data set has gone: what the folder itself refers to is kept


def _cells_of(experiment: Experiment, scale: Scale, store: Store) -> set[str]:
    """The keys of all cells that an experiment asks for, on every kind of device."""
    return {key for kind in devices.KINDS for key in _cells_on(kind, experiment, scale, store)}


def _cells_on(kind: str, experiment: Experiment, scale: Scale, store: Store) -> set[str]:
    """The keys of the cells that an experiment asks for, asked again with the rows found until it asks for no more."""
    digest = functools.partial(data.digest, offline=True)
    cells: dict[str, Cell] = {}
    table = empty_table()
    while True:
        fitting = (cell for cell in experiment.cells(scale, table) if kind in cell.devices)
        asked = {cell.key(digest): cell for cell in (one.on(kind) for one in fitting)}
        if asked.keys() <= cells.keys():
            return set(cells)
        cells |= asked
        table = store.table(cells)
