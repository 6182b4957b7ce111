"""Removing from a store what nothing refers to."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from pathlib import Path

from normscope.atomic import leftovers
from normscope.store.segments import read_segment, segment_bytes
from normscope.store.store import ASIDE, Store, StoreError


@dataclasses.dataclass(frozen=True)
class Removal:
    """Something that was, or would be, removed.

    Attributes:
        what: its kind, in words, in the plural.
        count: how many there are.
        bytes: the disk space that they took.
    """

    what: str
    count: int
    bytes: int


def clean_store(store: Store, referred: Collection[str], *, dry_run: bool = False) -> list[Removal]:
    """Remove the cells that nothing refers to, superseded copies of others, damaged files and dead writers' files.

    Segments that hold both are written anew without. Files that are not named like the store's are left alone.

    Args:
        store: which nobody else may use meanwhile (:meth:`Store.for_oneself`), except for a dry run.
        referred: the keys of the cells to keep.
        dry_run: only say what would go.

    Raises:
        StoreError: when the folder cannot be read or written; no cell that is referred to is lost.
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
    """Go through the segments from the newest on: the first to hold a cell holds the rows that count."""
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
    """Put a segment without some of its cells in its place; gives the bytes that it frees."""
    size = path.stat().st_size
    if keep:
        rows, metadata = read_segment(path, keep)
        size -= len(segment_bytes([rows], metadata))
    if not dry_run:
        if keep:
            store.segments.write([rows], metadata)
        path.unlink()
    return size
