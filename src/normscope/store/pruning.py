"""Removes from a store what nothing refers to."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from pathlib import Path

from normscope.disk.atomic import leftovers
from normscope.store.errors import StoreError
from normscope.store.segments import read_segment, segment_bytes
from normscope.store.store import ASIDE, Store


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
    try:
        found = [
            _unreferred_files(store, referred, dry_run),
            *_segments(store, referred, dry_run),
            remove_files("damaged files", sorted((store.folder / ASIDE).glob("*")), dry_run=dry_run),
            remove_files("leftovers of dead writers", leftovers(store.folder), dry_run=dry_run),
        ]
    except OSError as error:
        raise StoreError(f"cannot clean {store.folder}: {error.strerror or error}.") from error
    return [removal for removal in found if removal.count]


def remove_files(what: str, paths: Collection[Path] | Iterator[Path], *, dry_run: bool) -> Removal:
    """Remove files of one kind, or only count them."""
    count = size = 0
    for path in paths:
        count, size = count + 1, size + path.stat().st_size
        if not dry_run:
            path.unlink()
    return Removal(what, count, size)


def _unreferred_files(store: Store, referred: Collection[str], dry_run: bool) -> Removal:
    keys = sorted(store.single_files() - set(referred))
    return remove_files(
        "cells that no experiment refers to", [store.path(key) for key in keys], dry_run=dry_run
    )


def _segments(store: Store, referred: Collection[str], dry_run: bool) -> Iterator[Removal]:
    """Clean every segment, the newest first. If several segments hold a cell, the rows of the newest one count."""
    seen = store.single_files()
    unreferred = superseded = unreferred_bytes = superseded_bytes = 0
    for path, cells in store.segments.contents().items():
        orphans = {key for key in cells if key not in referred}
        copies = cells.keys() & seen - orphans
        seen |= cells.keys()
        if not (orphans or copies):
            continue
        freed = _rewrite(store, path, cells.keys() - orphans - copies, dry_run)
        share = len(orphans) / (len(orphans) + len(copies))
        unreferred, superseded = unreferred + len(orphans), superseded + len(copies)
        unreferred_bytes += round(freed * share)
        superseded_bytes += freed - round(freed * share)
    yield Removal("compacted cells that no experiment refers to", unreferred, unreferred_bytes)
    yield Removal("superseded copies of cells", superseded, superseded_bytes)


def _rewrite(store: Store, path: Path, keep: Collection[str], dry_run: bool) -> int:
    """Replace a segment by one with only some of its cells; returns the bytes that this frees."""
    size = path.stat().st_size
    if keep:
        rows, metadata = read_segment(path, keep)
        size -= len(segment_bytes([rows], metadata))
    if not dry_run:
        if keep:
            store.segments.write([rows], metadata)
        path.unlink()
    return size
