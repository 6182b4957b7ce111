"""Sends files to a cluster's nodes: through Ray's object store, once to each node, where they stay.

A node keeps uploaded files in a folder named by a digest of their content. So a node that has them, perhaps from an
earlier run, is sent nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from normscope.errors import InputError

if TYPE_CHECKING:
    import ray

_MANY_FILES, _MANY_BYTES = 2_000, 20_000_000
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
        digest.update(f"{name} {content.size}\n".encode())
        digest.update(content.data)
        contents[name] = ray.put(content)
    return Uploaded(digest.hexdigest()[:32], contents)


def download(uploaded: Uploaded) -> Path:
    """The folder on this node that holds uploaded files; they are fetched if the node lacks them.

    Raises:
        OSError: the node's disk refuses.
    """
    import ray

    folder = _user_folder() / uploaded.digest
    if _complete(folder, uploaded):
        return folder
    with FileLock(folder.with_suffix(".lock")):
        if _complete(folder, uploaded):  # Another worker of this node has fetched them.
            return folder
        with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
            inside = Path(unfinished) / "files"
            inside.mkdir()
            for name, content in uploaded.contents.items():
                path = inside / name
                path.parent.mkdir(parents=True, exist_ok=True)
                ray.get(content).tofile(path)
            # The folder exists if a cleaner of temporary files has removed only some of its files.
            shutil.rmtree(folder, ignore_errors=True)
            inside.rename(folder)
    return folder


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


def _complete(folder: Path, uploaded: Uploaded) -> bool:
    return folder.is_dir() and all((folder / name).is_file() for name in uploaded.contents)


def _user_folder() -> Path:
    """The folder on this node for the files that this user's runs send."""
    folder = Path(tempfile.gettempdir()) / f"normscope-{os.getuid()}-nodes"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or folder.is_symlink():
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder
