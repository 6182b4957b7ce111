"""Which cells of a results folder its experiments refer to; the others can go."""

from __future__ import annotations

import functools
from pathlib import Path

from normscope import data
from normscope.atomic import leftovers
from normscope.errors import InputError
from normscope.papers import catalogue
from normscope.protocol import Cell, Experiment, Scale, empty_table
from normscope.results import files
from normscope.store import Store, exclusive_use
from normscope.store.pruning import Removal, clean_store, remove_files


def clean(out: Path, *, dry_run: bool = False) -> list[Removal]:
    """Remove from a results folder what no experiment refers to, and what crashes have left behind.

    A cell is referred to by every experiment of the catalogue, at every scale, that asks for it given the rows there
    are; by every table that stands in the folder; and by every run in it that has not ended.

    Args:
        out: the results folder.
        dry_run: only say what would go.

    Returns:
        What was, or would be, removed, by kind.

    Raises:
        InputError: when the folder is no results folder, holds a damaged table, or cannot be written.
        StoreError: when a run is using it.
    """
    store = Store(out / "cells")
    folders = _experiment_folders(out)
    if not (folders or store.keys()):
        raise InputError(f"{out} holds no results: name a folder that 'normscope reproduce' has written.")
    if dry_run:
        return _clean(out, folders, store, dry_run=True)
    with exclusive_use(store.folder):
        return _clean(out, folders, store, dry_run=False)


def _clean(out: Path, folders: list[Path], store: Store, *, dry_run: bool) -> list[Removal]:
    referred = {key for folder in folders for key in files.referred_cells(folder)}
    for entry in catalogue.ENTRIES:
        experiment = entry.load()
        for scale in Scale:
            referred |= _cells(experiment, scale, store)
    removals = clean_store(store, referred, dry_run=dry_run)
    dead = (path for folder in (out, *folders) for path in leftovers(folder))
    rest = remove_files("leftovers of dead writers among the reports", dead, dry_run=dry_run)
    return [*removals, rest] if rest.count else removals


def _cells(experiment: Experiment, scale: Scale, store: Store) -> set[str]:
    """The cells that an experiment asks for, again and again until it asks for nothing new."""
    digest = functools.partial(data.digest, offline=True)
    cells: dict[str, Cell] = {}
    table = empty_table()
    while True:
        asked = {cell.key(digest): cell for cell in experiment.cells(scale, table)}
        if asked.keys() <= cells.keys():
            return set(cells)
        cells |= asked
        table = store.table(cells)


def _experiment_folders(out: Path) -> list[Path]:
    names = (files.DATA_NAME, files.UNFINISHED_NAME)
    return sorted({path.parent for name in names for path in out.glob(f"*/{name}")})
