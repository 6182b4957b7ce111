"""Sends files to a cluster's nodes: through Ray's object store, once to each node, where they stay.

A node keeps uploaded files in a folder named by a digest of their content. So a node that has them, perhaps from an
earlier run, is sent nothing. The digest is computed again whenever a worker process starts, so a file that the node's
disk has damaged is noticed, and all files are sent again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from normscope.disk.atomic import sync_folder
from normscope.disk.locks import WaitingLock
from normscope.disk.reading import check_regular, is_real_folder
from normscope.errors import DamagedError, InputError
from normscope.runner.cluster.folders import LockedFolder, remove_leftovers

if TYPE_CHECKING:
    import ray

_MANY_FILES, _MANY_BYTES = 2_000, 20_000_000
_NEW_PREFIX, CELL_PREFIX = "new-", "cell-"
"""What the names of the temporary folders begin with: unfinished downloads, and the cells of a worker process."""
_NOT_CODE = {"__pycache__", "node_modules", "site-packages"}


@dataclasses.dataclass(frozen=True)
class DataFiles:
    """The files of the data sets that cells read, and how a cell's process finds them on a node.

    Attributes:
        files: returns the files of the data set of a name, by the names they get on the node.
        variable: the environment variable that names the folders they are in, separated as in ``PATH``.
    """

    files: Callable[[str], Mapping[str, Path]]
    variable: str


@dataclasses.dataclass(frozen=True)
class Uploaded:
    """Files in Ray's object store.

    Attributes:
        digest: of all their names and contents.
        contents: references to the contents, by name.
    """

    digest: str
    contents: Mapping[str, ray.ObjectRef[Any]]


def upload(files: Mapping[str, Path]) -> Uploaded:
    """Put files into Ray's object store.

    Raises:
        InputError: a file cannot be read.
    """
    import numpy as np
    import ray

    digest, contents = hashlib.sha256(), {}
    for name, path in sorted(files.items()):
        try:
            content = np.fromfile(path, dtype=np.uint8)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}.") from error
        _add(digest, name, content.data)
        contents[name] = ray.put(content)
    return Uploaded(_text(digest), contents)


def download(uploaded: Uploaded) -> Path:
    """The folder on this node that holds uploaded files; they are fetched if the node lacks them or has damaged them.

    Raises:
        OSError: the node's disk refuses, or the files arrive damaged.
    """
    folder = node_folder() / uploaded.digest
    if _sound(folder, uploaded):
        return folder
    with WaitingLock(folder.with_suffix(".lock")):
        if not _sound(folder, uploaded):  # Another worker of this node may have fetched them.
            _fetch(uploaded, folder)
    return folder


def node_folder() -> Path:
    """The folder on this node for the files that this user's runs send.

    Raises:
        OSError: the folder cannot be made, or somebody else can write there.
    """
    folder = Path(tempfile.gettempdir()) / f"normscope-{os.getuid()}-nodes"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder} is not a folder that only you can enter: remove it")
    return folder


def tidy_node_folder() -> None:
    """Remove what killed runs have left in this node's folder.

    Raises:
        OSError: as for :func:`node_folder`.
    """
    for prefix in (_NEW_PREFIX, CELL_PREFIX):
        remove_leftovers(node_folder(), prefix)


def own_modules(folder: Path) -> dict[str, Path]:
    """The Python files in and below a user's working directory, by relative name.

    Hidden folders and virtual environments are left out.

    Raises:
        InputError: there are too many to be one person's.
    """
    found, size = {}, 0
    for path in _python_files(folder):
        found[str(path.relative_to(folder))] = path
        with contextlib.suppress(OSError):
            size += path.stat().st_size
        if len(found) > _MANY_FILES or size > _MANY_BYTES:
            raise InputError(
                f"{folder} holds too many Python files to send to a cluster (more than {_MANY_FILES:,}, or "
                f"{_MANY_BYTES / 1e6:.0f} MB): run the command in a folder with your own modules only."
            )
    return found


def _python_files(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and name not in _NOT_CODE
            and not os.path.exists(os.path.join(where, name, "pyvenv.cfg"))
        ]
        yield from (Path(where, name) for name in names if name.endswith(".py"))


def _fetch(uploaded: Uploaded, folder: Path) -> None:
    """Write uploaded files into a folder, on the disk before the folder has its name."""
    import ray

    digest = hashlib.sha256()
    with LockedFolder(folder.parent, _NEW_PREFIX) as unfinished:
        inside = unfinished.path / "files"
        inside.mkdir()
        for name, reference in sorted(uploaded.contents.items()):
            content = ray.get(reference).data
            _add(digest, name, content)
            _write(inside / name, content)
        if _text(digest) != uploaded.digest:
            raise OSError(f"the files for {folder} have arrived damaged")
        for below, _, _ in os.walk(inside):
            sync_folder(Path(below))
        with contextlib.suppress(FileNotFoundError):
            # Files in use stay open: they are removed under another name.
            folder.rename(unfinished.path / "old")
        inside.rename(folder)
    sync_folder(folder.parent)


def _write(path: Path, content: memoryview) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sound(folder: Path, uploaded: Uploaded) -> bool:
    """Whether a folder holds uploaded files as they were sent. No link is followed."""
    digest = hashlib.sha256()
    try:
        if not is_real_folder(folder):
            return False
        for name in sorted(uploaded.contents):
            if not all(is_real_folder(folder / parent) for parent in Path(name).parents):
                return False
            _add_file(digest, name, folder / name)
    except (OSError, DamagedError):  # What cannot be read is sent again.
        return False
    return _text(digest) == uploaded.digest and not any(folder.rglob("__pycache__"))


def _add_file(digest: hashlib._Hash, name: str, path: Path) -> None:
    check_regular(path)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        digest.update(_head(name, os.fstat(file.fileno()).st_size))
        hashlib.file_digest(file, lambda: digest)


def _add(digest: hashlib._Hash, name: str, content: memoryview) -> None:
    digest.update(_head(name, content.nbytes))
    digest.update(content)


def _head(name: str, size: int) -> bytes:
    return f"{name} {size}\n".encode()


def _text(digest: hashlib._Hash) -> str:
    return digest.hexdigest()[:32]
