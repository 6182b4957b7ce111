"""The prepared arrays: written once, then mapped into memory by every process that reads them.

:mod:`normscope.data.array_files` has the files of one data set. Every byte of them is compared with what was written,
once in each process. A file that differs is moved to ``_unreadable`` beside it, named in a warning, and made again from
its source. A file that cannot be read now stays where it is.

These files alone can carry a data set to another machine, into a folder that ``NORMSCOPE_ARRAYS`` names there:
:func:`portable` lists them, and :func:`received` finds them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscope.data.array_files import (
    FORMAT,
    NAMED_DIGITS,
    FoundDamaged,
    Prepared,
    content_digest,
    open_arrays,
    write_arrays,
)
from normscope.data.failures import cannot_read
from normscope.data.locations import Source, cache_folders, writable_cache, writing
from normscope.disk.aside import set_aside
from normscope.disk.atomic import atomic_write, make_folder
from normscope.disk.locks import WaitingLock
from normscope.disk.reading import read_file
from normscope.disk.sealing import parse_json, sealed_json, unsealed_json
from normscope.errors import DamagedError, DataError, NormscopeWarning

if TYPE_CHECKING:
    import numpy as np

GIVEN_VARIABLE = "NORMSCOPE_ARRAYS"
"""The environment variable that names folders of received data sets, separated as in ``PATH``."""

_LONGEST_NOTE = 2**16


def prepared(name: str, source: Source, read: Callable[[], Mapping[str, np.ndarray]]) -> Prepared:
    """The arrays of a data set, from the cache; ``read`` prepares them if they are missing, damaged or out of date.

    Args:
        name: name of the data set.
        source: the files that the arrays come from; when these change, they are read again.
        read: reads the source; only one process at a time calls it.

    Raises:
        DataError: if ``read`` raises it, or the cache cannot be read or written.
    """
    stamps = [str(FORMAT), *source.stamps()]

    def make(manifest: Path) -> None:
        arrays = read()
        write_arrays(manifest, name, stamps, arrays, content_digest(arrays))

    return _found_or_made(_manifest_name(name, source), name, stamps, make)


def keep(stem: str, digest: str, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> Prepared:
    """Arrays whose source cannot be stamped, such as a function: kept under their digest.

    Args:
        stem: what the names of the files begin with; :func:`kept` finds them under ``stem`` and the digest's first
            digits.
        digest: of the contents.
        arrays: the arrays, by name.
        facts: what is kept with them, as JSON values.

    Raises:
        DataError: if the cache cannot be read or written.
    """
    name = f"{stem}-{digest[:NAMED_DIGITS]}"

    def make(manifest: Path) -> None:
        write_arrays(manifest, stem, [], arrays, digest, facts)

    return _found_or_made(f"{name}.json", name, None, make)


def kept(name: str) -> Prepared | None:
    """The arrays that :func:`keep` wrote on this machine, or None if they are not, or no longer, there.

    Raises:
        DataError: if they cannot be read now.
    """
    found, failures = _find(f"{name}.json", name, None)
    if found is None and failures:
        raise cannot_read(failures[0]) from failures[0]
    return found


def remember(place: str, stamps: Iterable[str], digest: str) -> None:
    """Note which contents the files at a place had, for :func:`remembered`.

    Raises:
        DataError: if the cache cannot be written.
    """
    folder = writable_cache() / "arrays"
    with writing("a note", folder), atomic_write(folder / _note_name(place)) as file:
        file.write(sealed_json({"stamps": _stamp(stamps), "digest": digest}))


def remembered(place: str, stamps: Iterable[str]) -> str | None:
    """The digest of the contents of the files at a place, or None if these have other stamps than then."""
    for cache in cache_folders():
        path = cache / "arrays" / _note_name(place)
        try:
            with contextlib.suppress(OSError):
                if (note := _read_note(path)) and note["stamps"] == _stamp(stamps):
                    return str(note["digest"])
        except (DamagedError, KeyError) as error:
            why = error if isinstance(error, DamagedError) else "it is no note"
            _move_away(FoundDamaged(path, why))
    return None


def received(name: str) -> Prepared | None:
    """The data set that another machine sent, or None; it takes precedence over this machine's own of that name.

    What was sent and has been damaged is no reason to take this machine's own, whose contents may differ.

    Raises:
        DataError: if it cannot be read, or is damaged.
    """
    for folder in filter(None, os.environ.get(GIVEN_VARIABLE, "").split(os.pathsep)):
        manifest = Path(folder) / f"{name}.json"
        try:
            if found := open_arrays(manifest, None):
                return found
            is_there = os.path.lexists(manifest)
        except OSError as error:
            raise cannot_read(error) from error
        except FoundDamaged as error:
            raise DataError(f"{error}: remove {folder}, so that it is sent again.") from None
        if is_there:
            raise DataError(f"{folder} holds only a part of {name}: remove it, so that it is sent again.")
    return None


def portable(name: str, data: Prepared) -> dict[str, Path]:
    """The files to send to another machine, by the names they must have there."""
    manifest, *arrays = data.files
    return {f"{name}.json": manifest} | {path.name: path for path in arrays}


def _find(file_name: str, lock: str, stamps: list[str] | None) -> tuple[Prepared | None, list[OSError]]:
    """The arrays in the first cache folder that has them, and what could not be read on the way."""
    failures: list[OSError] = []
    for cache in cache_folders():
        try:
            if found := _look(cache / "arrays" / file_name, lock, stamps):
                return found, failures
        except OSError as error:
            failures.append(error)
    return None, failures


def _found_or_made(
    file_name: str, lock: str, stamps: list[str] | None, make: Callable[[Path], None]
) -> Prepared:
    found, _ = _find(
        file_name, lock, stamps
    )  # what cannot be read here may be found, or made, in another folder
    if found:
        return found
    folder = writable_cache() / "arrays"
    manifest = folder / file_name
    with writing(f"the arrays of {lock}", folder), _locked(folder, lock):
        try:
            # Another process may have made the arrays while this one waited for the lock.
            if found := _sound(manifest, stamps):
                return found
        except OSError as error:
            raise cannot_read(error) from error
        make(manifest)
        try:
            found = open_arrays(manifest, stamps)
        except DamagedError:
            found = None
    if found is None:
        raise DataError(
            f"the arrays just written to the cache folder {folder} cannot be read back: check that disk."
        )
    return found


def _look(manifest: Path, lock: str, stamps: list[str] | None) -> Prepared | None:
    """The arrays, or None if they are missing, out of date, or damaged; a damaged file is moved away.

    Raises:
        OSError: they cannot be read now.
    """
    try:
        return open_arrays(manifest, stamps)
    except FoundDamaged as error:
        damage = error
    try:
        # Another process may have made them again since, so look once more while none can.
        with _locked(manifest.parent, lock):
            return _sound(manifest, stamps)
    except (OSError, DamagedError):
        _warn(damage, None)
        return None


def _sound(manifest: Path, stamps: list[str] | None) -> Prepared | None:
    """The arrays, while the lock is held."""
    try:
        return open_arrays(manifest, stamps)
    except FoundDamaged as error:
        _move_away(error)
        return None


def _move_away(damage: FoundDamaged) -> None:
    _warn(damage, set_aside(damage.path))


def _warn(damage: FoundDamaged, place: Path | None) -> None:
    where = f"it was moved to {place}" if place else "it cannot be moved away and is not used"
    warnings.warn(f"{damage}: {where}, and the data are read again.", NormscopeWarning, stacklevel=2)


def _manifest_name(name: str, source: Source) -> str:
    return f"{name}-{hashlib.sha256(os.fsencode(source.place)).hexdigest()[:16]}.json"


def _note_name(place: str) -> str:
    return f"{hashlib.sha256(os.fsencode(place)).hexdigest()[:32]}.note.json"


def _read_note(path: Path) -> dict[str, Any] | None:
    """What a note says; ``None`` if it is older than the checksums."""
    content = read_file(path, _LONGEST_NOTE)
    value = parse_json(content)
    if isinstance(value, dict) and value.keys() == {"stamps", "digest"}:
        return None
    return unsealed_json(content)


def _stamp(stamps: Iterable[str]) -> str:
    # Stamps hold paths, whose bytes need not be text.
    return hashlib.sha256(os.fsencode("\n".join([str(FORMAT), *stamps]))).hexdigest()


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    make_folder(folder)
    with WaitingLock(folder / f"{name}.lock"):
        yield
