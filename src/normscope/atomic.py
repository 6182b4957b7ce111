"""Writes files that are complete or absent, never torn.

A file is written under a temporary name in the same folder, and its writer holds a lock of the operating system on it.
The lock ends with the writer, however it ends. So a temporary file that nobody has locked is a dead writer's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]+\.tmp")


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """A file to write; it becomes ``path`` once it is complete and on the disk, and is removed after an error.

    It is written in the folder of ``path`` as ``.<name>.<random>.tmp``. A killed process may leave that file behind,
    but never a torn ``path``. The folder is made if it is missing.

    Raises:
        OSError: the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
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


def check_writable(folder: Path) -> None:
    """Make a folder, with its parents, and try to write to it.

    Raises:
        OSError: the folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".probe.{secrets.token_hex(8)}.tmp"
    probe.write_bytes(b"")
    probe.unlink()


def leftovers(folder: Path) -> Iterator[Path]:
    """The temporary files of dead writers in ``folder``; each is locked while the caller has it."""
    for path in sorted(folder.glob(".*.tmp")):
        if _TEMPORARY.fullmatch(path.name):
            with contextlib.suppress(OSError), path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield path


def sync_folder(folder: Path) -> None:
    """Flush the names in ``folder`` to the disk, so that a file removed next cannot outlive its replacement."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
