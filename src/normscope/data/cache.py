"""The prepared arrays: a ``.npy`` file each, written once, mapped into memory by every process that reads it.

An array's file is named for its content, so that whoever writes it writes the same bytes; a manifest, written
last, says which files make up a data set and from which source files they were read. All of them appear
whole, by a rename.

Another machine can be given a data set as these files alone, in a folder that ``NORMSCOPE_ARRAYS`` names there:
:func:`portable` lists them, :func:`given` finds them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from normscope.atomic import atomic_write
from normscope.data.locations import Source, cache_folders, writable_cache
from normscope.errors import DataError

if TYPE_CHECKING:
    import numpy as np

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")

GIVEN_VARIABLE = "NORMSCOPE_ARRAYS"
"""Names folders, separated as in ``PATH``, with data sets as :func:`portable` lists them."""

# Raised when a reader comes to read the same files differently.
_FORMAT = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared:
    """A data set's arrays as they lie in the cache.

    Args:
        folder: that holds them.
        digest: SHA-256 of their contents.
        arrays: read-only memory maps, by name.
        files: manifest and arrays.
    """

    folder: Path
    digest: str
    arrays: Mapping[str, np.ndarray]
    files: tuple[Path, ...]


def prepared(
    name: str, source: Source, read: Callable[[], Mapping[str, np.ndarray]], verify: bool = False
) -> Prepared:
    """The arrays of a data set, prepared by ``read`` where the cache does not hold them as the source is now.

    Args:
        name: of the data set.
        source: what the arrays are read from; when its files change they are read again.
        read: reads the source; called by one process at a time.
        verify: compare the cached contents with their digest, too, rather than sizes and headers only.

    Raises:
        DataError: what ``read`` raises, or the cache cannot be written.
    """
    stamps = [str(_FORMAT), *source.stamps()]
    for cache in cache_folders():
        if found := _open(cache / "arrays" / _manifest_name(name, source), stamps, verify):
            return found
    folder = writable_cache() / "arrays"
    manifest = folder / _manifest_name(name, source)
    with _explained(name, folder), _locked(folder, name):
        # Another process may have prepared them while this one waited.
        if found := _open(manifest, stamps, verify):
            return found
        _write(manifest, name, stamps, read())
        found = _open(manifest, stamps, verify)
    if not found:
        raise DataError(
            f"what was just written to the cache folder {folder} cannot be read back: check that disk."
        )
    return found


def given(name: str) -> Prepared | None:
    """A data set as another machine gave it, whatever this machine has under that name; None where it gave none."""
    folders = filter(None, os.environ.get(GIVEN_VARIABLE, "").split(os.pathsep))
    found = (_open(Path(folder) / f"{name}.json", None, verify=False) for folder in folders)
    return next(filter(None, found), None)


def portable(name: str, data: Prepared) -> dict[str, Path]:
    """The files to give another machine, by the names they are to have there."""
    manifest, *arrays = data.files
    return {f"{name}.json": manifest} | {path.name: path for path in arrays}


def _open(manifest_path: Path, stamps: list[str] | None, verify: bool) -> Prepared | None:
    """The arrays as a manifest describes them, or None where anything is missing or torn.

    None, too, where they are outdated: where ``stamps`` are given and are others than the manifest's.
    """
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
            # Copy on write: all processes share a page that nobody writes to, and nobody can by mistake.
            array = np.load(path, mmap_mode="c", allow_pickle=False)
            array.flags.writeable = False
            if list(array.shape) != described["shape"] or array.dtype != np.uint8:
                return None
            arrays[array_name] = array
            files.append(path)
        if verify and content_digest(arrays) != manifest["digest"]:
            return None
        return Prepared(folder, str(manifest["digest"]), arrays, tuple(files))
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _write(manifest_path: Path, name: str, stamps: list[str], arrays: Mapping[str, np.ndarray]) -> None:
    import numpy as np

    digest = content_digest(arrays)
    described = {}
    for array_name in ARRAYS:
        array = np.ascontiguousarray(arrays[array_name])
        path = manifest_path.with_name(f"{name}-{digest[:16]}-{array_name}.npy")
        with atomic_write(path) as file:
            np.save(file, array, allow_pickle=False)
        described[array_name] = {"file": path.name, "bytes": path.stat().st_size, "shape": list(array.shape)}
    with atomic_write(manifest_path) as file:
        manifest = {"stamps": stamps, "digest": digest, "arrays": described}
        file.write(json.dumps(manifest, indent=1).encode())


def content_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over name, type, shape and entries (last dimension fastest) of the ``ARRAYS``, in order."""
    import numpy as np

    digest = hashlib.sha256()
    for name in ARRAYS:
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _manifest_name(name: str, source: Source) -> str:
    return f"{name}-{hashlib.sha256(source.place.encode()).hexdigest()[:16]}.json"


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{name}.lock"):
        yield


@contextmanager
def _explained(name: str, folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into one sentence."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot write the arrays of {name} to {folder} ({error.strerror or error}): "
            "make room there or let NORMSCOPE_CACHE name another folder."
        ) from error
