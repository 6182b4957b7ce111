"""Writes files that are complete or absent, never torn, and that a power cut does not take away.

A file is written under a temporary name in the same folder, and its writer holds a lock of the operating system on it.
The lock ends with the writer, however it ends. So a temporary file that nobody has locked is a dead writer's.

The content is flushed before the file gets its name, and the folder, which holds the name, afterwards.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from normscope.disk.reading import check_regular, names_in
from normscope.errors import DamagedError

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]+\.tmp", re.DOTALL)
_CANNOT_FLUSH = (errno.EINVAL, errno.ENOTSUP)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A file to write; it becomes ``path`` once it is complete and on the disk, and is removed after an error.

    It is written in the folder of ``path`` as ``.<name>.<random>.tmp``. A killed process may leave that file behind,
    but never a torn ``path``. The folder is made if it is missing. A link at ``path`` is replaced, not followed.

    Raises:
        OSError: the disk refuses.
    """
    make_folder(path.parent)
    partial, file = _new_file(path)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder, with its parents, so that each new name is on the disk.

    Raises:
        OSError: the disk refuses, or there is a file of that name.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def check_writable(folder: Path) -> None:
    """Make a folder, with its parents, and try to write to it.

    Its name and that of the folder around it are on the disk afterwards, even if a process made them that was killed
    before it could flush them.

    Raises:
        OSError: the folder cannot be made or written.
    """
    make_folder(folder)
    around = folder.absolute().parent
    for place in (around, around.parent):
        sync_folder(place)
    probe, file = _new_file(folder / "probe")
    file.close()
    probe.unlink(missing_ok=True)  # since another process may have taken it for a leftover


def leftovers(folder: Path) -> Iterator[Path]:
    """The temporary files of dead writers in ``folder``; each is locked while the caller has it.

    Raises:
        OSError: the folder cannot be listed.
    """
    for name in names_in(folder):
        if _TEMPORARY.fullmatch(name):
            path = folder / name
            with contextlib.suppress(OSError, DamagedError), _opened(path) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield path


def sync_folder(folder: Path) -> None:
    """Flush the names in ``folder`` to the disk.

    Raises:
        OSError: the disk refuses. A folder that this user may not read, or a file system that cannot flush folders,
            does not count.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise
    finally:
        os.close(handle)


def _opened(path: Path) -> IO[bytes]:
    check_regular(path)
    return os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK), "r+b", buffering=0)


def _new_file(path: Path) -> tuple[Path, IO[bytes]]:
    """A locked temporary file in the folder of ``path``.

    Another process may remove it as a leftover before it is locked; then a new one is made.
    """
    while True:
        partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        file = partial.open("xb")
        with contextlib.suppress(OSError):  # On a file system without locks leftovers stay.
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return partial, file
        file.close()
