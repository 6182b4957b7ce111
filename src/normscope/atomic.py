"""Files that are whole or not there.

While a file is being written it stands beside its place under a temporary name, and its writer holds the system's lock
on it. The lock goes with the writer, however it ends; so a temporary file that nobody locks is a dead writer's.
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
    """A file to write that becomes ``path`` when it is complete and on the disk, and vanishes otherwise.

    It is written beside ``path`` as ``.<name>.<random>.tmp``; a killed process may leave that behind, never a torn
    ``path``. The folder is made when it is missing.

    Raises:
        OSError: what the disk refuses.
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
    """Make a folder, with its parents, and write to it.

    Raises:
        OSError: why it cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".probe.{secrets.token_hex(8)}.tmp"
    probe.write_bytes(b"")
    probe.unlink()


def leftovers(folder: Path) -> Iterator[Path]:
    """The temporary files in ``folder`` whose writers are no more, each locked while it is looked at."""
    for path in sorted(folder.glob(".*.tmp")):
        if _TEMPORARY.fullmatch(path.name):
            with contextlib.suppress(OSError), path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield path


def sync_folder(folder: Path) -> None:
    """Have the names in ``folder`` on the disk, so that what is removed next cannot outlive what replaced it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _new_file(path: Path) -> tuple[Path, IO[bytes]]:
    """A temporary file beside ``path``, locked; one that was taken for a leftover before it was locked is left."""
    while True:
        partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        file = partial.open("xb")
        with contextlib.suppress(OSError):  # A file system without locks: its leftovers stay.
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return partial, file
        file.close()
