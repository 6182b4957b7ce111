"""The prepared arrays: one ``.npy`` file each, written once and mapped into memory by every process that reads it.

An array's file is named after its content, so every process that writes it writes the same bytes. A manifest, written
last, lists the files of a data set and the source files from which they were read. Each file appears whole, by a
rename.

These files alone can carry a data set to another machine, into a folder that ``NORMSCOPE_ARRAYS`` names there:
:func:`portable` lists them, and :func:`received` finds them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from normscope.data.locations import Source, cache_folders, writable_cache, writing
from normscope.disk.atomic import atomic_write
from normscope.errors import DataError

if TYPE_CHECKING:
    import numpy as np

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")

GIVEN_VARIABLE = "NORMSCOPE_ARRAYS"
"""The environment variable that names folders of received data sets, separated as in ``PATH``."""

# Raise this number when a reader changes what it reads, or refuses, from the same files.
_FORMAT = 2

_NAMED_DIGITS = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared:
    """A data set's arrays in the cache.

    Attributes:
        folder: the folder of the files.
        digest: SHA-256 of the arrays' contents.
        arrays: read-only memory maps, by name.
        files: the manifest, then the arrays' files.
        facts: of a user's own data, what :class:`normscope.data.facts.Facts` holds, as JSON; else empty.
    """

    folder: Path
    digest: str
    arrays: Mapping[str, np.ndarray]
    files: tuple[Path, ...]
    facts: Mapping[str, Any]


def prepared(
    name: str, source: Source, read: Callable[[], Mapping[str, np.ndarray]], verify: bool = False
) -> Prepared:
    """The arrays of a data set, from the cache; ``read`` prepares them if they are missing or out of date.

    Args:
        name: name of the data set.
        source: the files that the arrays come from; when these change, they are read again.
        read: reads the source; only one process at a time calls it.
        verify: compare the cached contents with their digest, not only sizes and headers.

    Raises:
        DataError: if ``read`` raises it, or the cache cannot be written.
    """
    stamps = [str(_FORMAT), *source.stamps()]
    for cache in cache_folders():
        if found := _open(cache / "arrays" / _manifest_name(name, source), stamps, verify):
            return found
    folder = writable_cache() / "arrays"
    manifest = folder / _manifest_name(name, source)
    with writing(f"the arrays of {name}", folder), _locked(folder, name):
        # Another process may have prepared the arrays while this one waited for the lock.
        if found := _open(manifest, stamps, verify):
            return found
        arrays = read()
        _write(manifest, name, stamps, arrays, content_digest(arrays))
        found = _open(manifest, stamps, verify)
    return _checked(found, folder)


def keep(stem: str, digest: str, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> Prepared:
    """Arrays whose source cannot be stamped, such as a function: kept under their digest.

    Args:
        stem: what the names of the files begin with; :func:`kept` finds them under ``stem`` and the digest's first
            digits.
        digest: of the contents.
        arrays: the arrays, by name.
        facts: what is kept with them, as JSON values.

    Raises:
        DataError: if the cache cannot be written.
    """
    name = f"{stem}-{digest[:_NAMED_DIGITS]}"
    if found := kept(name):
        return found
    folder = writable_cache() / "arrays"
    with writing(f"the arrays of {stem}", folder), _locked(folder, name):
        _write(folder / f"{name}.json", stem, [], arrays, digest, facts)
        found = _open(folder / f"{name}.json", None, verify=False)
    return _checked(found, folder)


def kept(name: str) -> Prepared | None:
    """The arrays that :func:`keep` wrote on this machine, or None if they are not, or no longer, there."""
    found = (_open(cache / "arrays" / f"{name}.json", None, verify=False) for cache in cache_folders())
    return next(filter(None, found), None)


def remember(place: str, stamps: Iterable[str], digest: str) -> None:
    """Note which contents the files at a place had, for :func:`remembered`."""
    folder = writable_cache() / "arrays"
    with writing("a note", folder):
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / _note_name(place)) as file:
            file.write(json.dumps({"stamps": _stamp(stamps), "digest": digest}).encode())


def remembered(place: str, stamps: Iterable[str]) -> str | None:
    """The digest of the contents of the files at a place, or None if these have other stamps than then."""
    for cache in cache_folders():
        try:
            note = json.loads((cache / "arrays" / _note_name(place)).read_bytes())
            if note["stamps"] == _stamp(stamps):
                return str(note["digest"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def received(name: str) -> Prepared | None:
    """The data set that another machine sent, or None; it takes precedence over this machine's own of that name."""
    folders = filter(None, os.environ.get(GIVEN_VARIABLE, "").split(os.pathsep))
    found = (_open(Path(folder) / f"{name}.json", None, verify=False) for folder in folders)
    return next(filter(None, found), None)


def portable(name: str, data: Prepared) -> dict[str, Path]:
    """The files to send to another machine, by the names they must have there."""
    manifest, *arrays = data.files
    return {f"{name}.json": manifest} | {path.name: path for path in arrays}


def _open(manifest_path: Path, stamps: list[str] | None, verify: bool) -> Prepared | None:
    """The arrays that a manifest describes; None if one is missing or damaged, or made from other ``stamps``."""
    import numpy as np

    folder, files = manifest_path.parent, [manifest_path]
    try:
        manifest = json.loads(manifest_path.read_bytes())
        if stamps is not None and manifest["stamps"] != stamps:
            return None
        arrays = {}
        for array_name in ARRAYS:
            described = manifest["arrays"][array_name]
            path = folder / described["file"]
            if path.stat().st_size != described["bytes"]:
                return None
            # Copy on write and read-only: all processes share the pages, and none can write to them by mistake.
            array = np.load(path, mmap_mode="c", allow_pickle=False)
            array.flags.writeable = False
            # Manifests that name no type are older than the cache of a user's own data.
            if list(array.shape) != described["shape"] or array.dtype != described.get("dtype", "uint8"):
                return None
            arrays[array_name] = array
            files.append(path)
        if verify and content_digest(arrays) != manifest["digest"]:
            return None
        return Prepared(
            folder, str(manifest["digest"]), arrays, tuple(files), dict(manifest.get("facts", {}))
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _write(
    manifest_path: Path,
    stem: str,
    stamps: list[str],
    arrays: Mapping[str, np.ndarray],
    digest: str,
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    import numpy as np

    described = {}
    for array_name in ARRAYS:
        array = np.ascontiguousarray(arrays[array_name])
        path = manifest_path.with_name(f"{stem}-{digest[:_NAMED_DIGITS]}-{array_name}.npy")
        with atomic_write(path) as file:
            np.save(file, array, allow_pickle=False)
        size, dtype = path.stat().st_size, array.dtype.name
        described[array_name] = {"file": path.name, "bytes": size, "shape": list(array.shape), "dtype": dtype}
    with atomic_write(manifest_path) as file:
        manifest = {"stamps": stamps, "digest": digest, "arrays": described, "facts": dict(facts)}
        file.write(json.dumps(manifest, indent=1).encode())


def _checked(found: Prepared | None, folder: Path) -> Prepared:
    """The arrays that were just written, if they could be opened."""
    if found is None:
        raise DataError(
            f"the arrays just written to the cache folder {folder} cannot be read back: check that disk."
        )
    return found


def content_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the name, type, shape and entries (last dimension fastest) of each of ``ARRAYS``, in order."""
    import numpy as np

    digest = hashlib.sha256()
    for name in ARRAYS:
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _manifest_name(name: str, source: Source) -> str:
    return f"{name}-{hashlib.sha256(os.fsencode(source.place)).hexdigest()[:16]}.json"


def _note_name(place: str) -> str:
    return f"{hashlib.sha256(os.fsencode(place)).hexdigest()[:32]}.note.json"


def _stamp(stamps: Iterable[str]) -> str:
    # Stamps hold paths, whose bytes need not be text.
    return hashlib.sha256(os.fsencode("\n".join([str(_FORMAT), *stamps]))).hexdigest()


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name}.lock"):
        yield
