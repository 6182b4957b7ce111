"""Removes from a store what nothing refers to."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path

from normscope.disk.aside import ASIDE
from normscope.disk.atomic import leftovers
from normscope.disk.reading import is_real_folder, names_in
from normscope.errors import NormscopeWarning
from normscope.store.errors import reading, writing
from normscope.store.segments import segment_bytes
from normscope.store.store import Store


@dataclasses.dataclass(frozen=True)
class Removal:
    """Files or cells of one kind that were removed, or would be.

    Attributes:
        what: the kind, in words, in the plural.
        count: how many there are.
        bytes: the disk space they took.
    """

    what: str
    count: int
    bytes: int


def clean_store(store: Store, referred: Collection[str], *, dry_run: bool = False) -> list[Removal]:
    """Remove unreferred cells, superseded copies of cells, damaged files, and temporary files of dead writers.

    A segment that holds some of these is replaced by one without them. Files that are not named like the store's own
    are left alone.

    Args:
        store: what to clean, under :func:`~normscope.store.locks.exclusive_use` unless it is a dry run.
        referred: the keys of the cells to keep.
        dry_run: remove nothing, only report what would go.

    Returns:
        What was, or would be, removed, by kind.

    Raises:
        StoreError: the folder cannot be read or written; no cell that is referred to is lost.
    """
    with writing(store.folder):
        found = [
            _unreferred_files(store, referred, dry_run),
            *_segments(store, referred, dry_run),
            remove_files("damaged files", _damaged_files(store), dry_run=dry_run),
            remove_files("leftovers of dead writers", leftovers(store.folder), dry_run=dry_run),
        ]
    return [removal for removal in found if removal.count]


def remove_files(what: str, paths: Collection[Path] | Iterator[Path], *, dry_run: bool) -> Removal:
    """Remove files of one kind, or only count them. A link is removed itself; a folder is left alone, and named.

    Raises:
        StoreError: a file cannot be removed now.
    """
    count = size = 0
    for path in paths:
        with writing(path), contextlib.suppress(FileNotFoundError):  # since another process has removed it
            state = os.lstat(path)
            if stat.S_ISDIR(state.st_mode):
                warnings.warn(f"{path} is a folder, which is left alone.", NormscopeWarning, stacklevel=2)
                continue
            if not dry_run:
                path.unlink()
            count, size = count + 1, size + state.st_size
    return Removal(what, count, size)


def _damaged_files(store: Store) -> list[Path]:
    aside = store.folder / ASIDE
    with reading(aside):
        if is_real_folder(aside):
            return [aside / name for name in names_in(aside)]
        if os.path.lexists(aside):
            warnings.warn(f"{aside} is no folder: it is left alone.", NormscopeWarning, stacklevel=2)
    return []


def _unreferred_files(store: Store, referred: Collection[str], dry_run: bool) -> Removal:
    keys = sorted(store.single_files() - set(referred))
    return remove_files(
        "cells that no experiment refers to", [store.path(key) for key in keys], dry_run=dry_run
    )


def _segments(store: Store, referred: Collection[str], dry_run: bool) -> Iterator[Removal]:
    """Clean every segment, the newest first. If several segments hold a cell, the rows of the newest one count."""
    contents = store.segments.contents()
    compacted = {key for index in contents.values() for key in index.cells}
    # A cell's own file counts before its copies in segments, if it is whole.
    seen = {key for key in store.single_files() & compacted if store.read_single(key) is not None}
    unreferred = superseded = unreferred_bytes = superseded_bytes = 0
    for path, index in contents.items():
        orphans = {*index.damaged, *(key for key in index.cells if key not in referred)}
        copies = index.cells.keys() & seen - orphans
        seen |= index.cells.keys()
        if not (orphans or copies):
            continue
        freed = _rewrite(store, path, index.cells.keys() - orphans - copies, dry_run)
        share = len(orphans) / (len(orphans) + len(copies))
        unreferred, superseded = unreferred + len(orphans), superseded + len(copies)
        unreferred_bytes += round(freed * share)
        superseded_bytes += freed - round(freed * share)
    yield Removal("compacted cells that no experiment refers to", unreferred, unreferred_bytes)
    yield Removal("superseded copies of cells", superseded, superseded_bytes)


def _rewrite(store: Store, path: Path, keep: Collection[str], dry_run: bool) -> int:
    """Replace a segment by one with only some of its cells; returns the bytes that this frees."""
    with reading(path):
        size = os.lstat(path).st_size
    if keep:
        if (content := store.segments.read(path, keep)) is None:
            return 0  # It is damaged since it was listed, and is set aside.
        rows, metadata = content
        size -= len(segment_bytes([rows], metadata))
    if not dry_run:
        if keep:
            store.segments.write([rows], metadata)
        path.unlink()
    return size
