"""One data set's files in the cache: four arrays, and the manifest that says what their bytes must be.

An array's file is named after its content, so every process that writes it writes the same bytes. The manifest, written
last, lists the files with their sizes and SHA-256, and has a checksum of its own. So every byte of these files is
known. It is compared once in each process that opens them, before anything is mapped: a change of a file that leaves
its size, its times and its number on the disk alone is not noticed after that.

The arrays are mapped as the manifest describes them; the ``.npy`` header is there for other programs.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, cast

from normscope.data.fit import misfit
from normscope.disk.atomic import atomic_write
from normscope.disk.reading import check_regular, read_file
from normscope.disk.sealing import CHECKSUM, parse_json, sealed_json, unsealed_json
from normscope.errors import DamagedError

if TYPE_CHECKING:
    import numpy as np

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")

# Raise this number when a reader changes what it reads, or refuses, from the same files, or the manifest changes.
FORMAT = 3

NAMED_DIGITS = 16
"""How many digits of a digest are part of a file's name."""

_TYPES = ("uint8", "int64", "float32")
_MOST_DIMENSIONS = 32
_FILE = re.compile(r"[^/\0]{1,250}\.npy")
_NAMED_BY_CONTENTS = re.compile(rf"-([0-9a-f]{{{NAMED_DIGITS}}})$")
_LONGEST_MANIFEST = 2**28  # it has two numbers for each feature

_verified: set[tuple[str, int, int, int, int, int, str]] = set()
"""The files whose bytes this process has compared: name, identity, size, times, SHA-256."""


class FoundDamaged(DamagedError):
    """A file of a data set in the cache that is not what was written.

    Args:
        path: the file.
        error: what is wrong with it.
    """

    def __init__(self, path: Path, error: Exception | str) -> None:
        why = str(error).removesuffix(".")
        if why.startswith(f"{path} "):
            why = f"it {why.removeprefix(f'{path} ')}"
        super().__init__(f"{path} is damaged ({why})")
        self.path = path


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


def open_arrays(manifest_path: Path, stamps: list[str] | None) -> Prepared | None:
    """The arrays that a manifest describes, each byte of them as it was written.

    Args:
        manifest_path: the manifest's file.
        stamps: what the arrays must have been made from; ``None`` for any.

    Returns:
        ``None`` when a file is missing, or the arrays were made from something else or by another version.

    Raises:
        OSError: a file cannot be read now.
        FoundDamaged: a file is not what was written.
    """
    try:
        manifest = _read_manifest(manifest_path)
        if manifest is None or (stamps is not None and manifest["stamps"] != stamps):
            return None
        described = {name: _described(manifest["arrays"][name]) for name in ARRAYS}
        digest, facts = str(manifest["digest"]), dict(manifest["facts"])
        _check_name(manifest_path, stamps, digest)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (DamagedError, KeyError, TypeError, ValueError) as error:
        why = error if isinstance(error, DamagedError) else "it does not describe arrays"
        raise FoundDamaged(manifest_path, why) from None
    arrays, files = {}, [manifest_path]
    for name, about in described.items():
        files.append(manifest_path.with_name(about.file))
        try:
            arrays[name] = _mapped(files[-1], about)
        except FileNotFoundError:
            return None
        except DamagedError as error:
            raise FoundDamaged(files[-1], error) from None
    if problem := misfit(arrays, facts):
        raise FoundDamaged(manifest_path, problem)
    return Prepared(manifest_path.parent, digest, MappingProxyType(arrays), tuple(files), facts)


def write_arrays(
    manifest_path: Path,
    stem: str,
    stamps: list[str],
    arrays: Mapping[str, np.ndarray],
    digest: str,
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Write the files of a data set, the manifest last.

    Args:
        manifest_path: the manifest's file.
        stem: what the arrays' names begin with.
        stamps: what the arrays were made from.
        arrays: the arrays.
        digest: of their contents.
        facts: what is kept with them, as JSON values.

    Raises:
        OSError: the disk refuses.
    """
    import numpy as np

    described = {}
    for array_name in ARRAYS:
        array = np.ascontiguousarray(arrays[array_name])
        path = manifest_path.with_name(f"{stem}-{digest[:NAMED_DIGITS]}-{array_name}.npy")
        with atomic_write(path) as file:
            hashed = _Hashed(file)
            np.save(cast("IO[bytes]", hashed), array, allow_pickle=False)
        about = _Described(path.name, hashed.size, hashed.digest(), array.dtype.name, array.shape)
        described[array_name] = dataclasses.asdict(about)
    manifest = {
        "format": FORMAT, "stamps": stamps, "digest": digest, "arrays": described, "facts": dict(facts),
    }  # fmt: skip
    with atomic_write(manifest_path) as file:
        file.write(sealed_json(manifest))


def content_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the name, type, shape and entries (last dimension fastest) of each of ``ARRAYS``, in order."""
    import numpy as np

    digest = hashlib.sha256()
    for name in ARRAYS:
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class _Described:
    """What a manifest says of an array's file."""

    file: str
    bytes: int
    sha256: str
    dtype: str
    shape: tuple[int, ...]


class _Hashed:
    """A file to write that knows the SHA-256 of what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._digest, self.size = file, hashlib.sha256(), 0

    def write(self, content: bytes) -> int:
        self._digest.update(content)
        self.size += len(content)
        return self._file.write(content)

    def digest(self) -> str:
        return self._digest.hexdigest()


def _read_manifest(path: Path) -> dict[str, Any] | None:
    """What a manifest says; ``None`` if another version wrote it."""
    content = read_file(path, _LONGEST_MANIFEST)
    value = parse_json(content)
    if isinstance(value, dict) and "format" not in value and CHECKSUM not in value:
        return None  # older than the checksums
    manifest = unsealed_json(content)
    return manifest if manifest["format"] == FORMAT else None


def _described(about: Mapping[str, Any]) -> _Described:
    """One entry of a manifest.

    Raises:
        KeyError, TypeError, ValueError: it does not describe an array's file in the manifest's own folder.
    """
    found = _Described(**{**about, "shape": tuple(about["shape"])})
    numbers = (found.bytes, *found.shape)
    is_sound = all(type(number) is int and number > 0 for number in numbers) and found.dtype in _TYPES
    if not is_sound or len(found.shape) > _MOST_DIMENSIONS or not _FILE.fullmatch(found.file):
        raise ValueError("no description of an array")
    return found


def _check_name(manifest_path: Path, stamps: list[str] | None, digest: str) -> None:
    """Refuse a manifest under the name of other contents. What has stamps is not named after its contents."""
    named = _NAMED_BY_CONTENTS.search(manifest_path.stem) if stamps is None else None
    if named and named[1] != digest[:NAMED_DIGITS]:
        raise DamagedError("it is of other contents than its name says")


def _mapped(path: Path, about: _Described) -> np.ndarray:
    import numpy as np

    check_regular(path)
    flags = os.O_NOFOLLOW | os.O_NONBLOCK
    with open(path, "rb", opener=lambda name, usual: os.open(name, usual | flags)) as file:
        _verify(file, path, about)
        start = about.bytes - math.prod(about.shape) * np.dtype(about.dtype).itemsize
        if start < 0:
            raise DamagedError("it is smaller than the array")
        # Copy on write and read-only: all processes share the pages, and none can write to them by mistake.
        array = np.memmap(file, about.dtype, "c", start, about.shape)
    array.flags.writeable = False
    return array


def _verify(file: IO[bytes], path: Path, about: _Described) -> None:
    """Compare every byte of a file, once in this process.

    It is read, not mapped: what a disk cannot read is then an error, while a map would end the process.
    """
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode) or found.st_size != about.bytes:
        raise DamagedError(f"it has {found.st_size:,} bytes, not {about.bytes:,}")
    identity = (
        str(path), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, about.sha256,
    )  # fmt: skip
    if identity not in _verified:
        if hashlib.file_digest(cast("Any", file), "sha256").hexdigest() != about.sha256:
            raise DamagedError("its content does not match its checksum")
        _verified.add(identity)
