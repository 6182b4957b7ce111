"""``normscope clean``: removing from a results folder what nothing refers to.

Removed are cells that no experiment refers to, older copies of cells, damaged files that were set aside, and files that
killed processes left half-written. This file decides which cells are referred to; :mod:`normscope.store.pruning`
removes the others.
"""

from __future__ import annotations

import functools

from normscope import data
from normscope.disk.atomic import leftovers
from normscope.errors import DataError, InputError
from normscope.papers import catalogue
from normscope.papers.catalogue import Entry
from normscope.papers.other_data import OnOtherData
from normscope.protocol import Cell, Experiment, Scale, empty_table
from normscope.results.experiment_folder import ExperimentFolder
from normscope.results.folder import ResultsFolder
from normscope.store import Store, exclusive_use
from normscope.store.pruning import Removal, clean_store, remove_files


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
        InputError: when the folder holds no results or a damaged table, or cannot be written.
        StoreError: when a run is using the folder.
    """
    if not (folder.experiments() or folder.store.keys()):
        raise InputError(f"{folder} holds no results: name a folder that 'normscope reproduce' has written.")
    if dry_run:
        return _clean(folder, dry_run=True)
    with exclusive_use(folder.store.folder):
        return _clean(folder, dry_run=False)


def _clean(folder: ResultsFolder, *, dry_run: bool) -> list[Removal]:
    removals = clean_store(folder.store, _referred_cells(folder), dry_run=dry_run)
    places = [folder.path, *(stored.path for stored in folder.experiments())]
    dead = (path for place in places for path in leftovers(place))
    rest = remove_files("leftovers of dead writers among the reports", dead, dry_run=dry_run)
    return [*removals, rest] if rest.count else removals


def _referred_cells(folder: ResultsFolder) -> set[str]:
    keys = {key for stored in folder.experiments() for key in stored.referred_cells()}
    for entry in catalogue.ENTRIES:
        for stored in folder.runs_of(entry.id):
            keys |= _cells_at_any_scale(stored, entry, folder.store)
    return keys


def _cells_at_any_scale(stored: ExperimentFolder, entry: Entry, store: Store) -> set[str]:
    """The keys of all cells that a paper's experiment asks for, on the data of its folder."""
    try:
        experiment = stored.read_paper(entry)
        if isinstance(experiment, OnOtherData) and not experiment.is_here():
            return set()
        return {key for scale in Scale for key in _cells_of(experiment, scale, store)}
    except (InputError, DataError):
        if stored.id == entry.id:
            raise
        return set()  # no table yet, or the data set has gone: what the folder itself refers to is kept


def _cells_of(experiment: Experiment, scale: Scale, store: Store) -> set[str]:
    """The keys of all cells that an experiment asks for, asked again with the rows found until it asks for no more."""
    digest = functools.partial(data.digest, offline=True)
    cells: dict[str, Cell] = {}
    table = empty_table()
    while True:
        asked = {cell.key(digest): cell for cell in experiment.cells(scale, table)}
        if asked.keys() <= cells.keys():
            return set(cells)
        cells |= asked
        table = store.table(cells)
