"""Every lock that is taken in a store's folder.

- ``.cell-locks``: :class:`CellLocks`, one byte for each cell that is being run.
- ``.in-use``: :func:`shared_use` by runs, :func:`exclusive_use` while the folder is cleaned.
- ``.lock``: :func:`compaction_lock`, while files are gathered into a segment or set aside as damaged.

Each is a lock of the operating system: it ends with its process, however that ends, so a lock is never stale. What is
no regular file in the place of one, such as a link, is refused with a :class:`~normscope.errors.DamagedError`.
The lock on a file that is being written is in :mod:`normscope.disk.atomic`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from normscope.disk.atomic import make_folder
from normscope.disk.locks import WaitingLock, open_lock_file, share
from normscope.store.errors import StoreError, check_real, writing

_CANNOT_LOCK = (
    *(errno.EROFS, errno.EACCES, errno.EPERM),  # nobody can write to the folder
    *(errno.EEXIST, errno.ENOTDIR),  # it is no folder
    *(errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP),  # the file system has no locks
)
_IN_USE = ".in-use"
_DIGITS = 15  # of a key: as many as an offset within a file can hold


class CellLocks:
    """The cells that this process is running, locked so that no other process runs them as well.

    A lock covers one byte of the file, at an offset made of the cell's key. On a file system without locks every
    :meth:`acquire` succeeds: two processes then run some cells twice, with the same result.

    Args:
        folder: the store's, which exists.

    Raises:
        StoreError: the file of the locks cannot be made or opened.
    """

    def __init__(self, folder: Path) -> None:
        with writing(folder):
            self._file = open_lock_file(folder / ".cell-locks")

    def __enter__(self) -> CellLocks:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._file.close()

    def acquire(self, key: str) -> bool:
        """Lock a cell without waiting; false when another process has locked it."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _offset(key))
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            return True
        return True

    def release(self, key: str) -> None:
        """Unlock a cell, whether it is finished or not."""
        with contextlib.suppress(OSError):
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _offset(key))


@contextlib.contextmanager
def shared_use(folder: Path) -> Iterator[None]:
    """Keep :func:`exclusive_use` of a store's folder away; any number of processes may share the folder.

    Nothing is locked in a folder that cannot be written, since nobody can clean it either, and on a file system
    without locks.

    Raises:
        StoreError: the folder is a link, or the system refuses now.
    """
    with contextlib.ExitStack() as stack:
        with writing(folder):
            try:
                share(stack.enter_context(_in_use_file(folder)), folder / _IN_USE)
            except OSError as error:
                if error.errno not in _CANNOT_LOCK:
                    raise
        yield


@contextlib.contextmanager
def exclusive_use(folder: Path) -> Iterator[None]:
    """Use a store's folder while no other process does.

    Raises:
        StoreError: at once, when another process is using the folder, or when it cannot be written.
    """
    with contextlib.ExitStack() as stack:
        with writing(folder):
            try:
                fcntl.flock(stack.enter_context(_in_use_file(folder)), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreError(f"a run is using {folder}: wait until it has ended.") from None
        yield


def compaction_lock(folder: Path) -> WaitingLock:
    """The lock under which a store's files are moved. The thread that holds it may take it again."""
    return WaitingLock(folder / ".lock")


def _in_use_file(folder: Path) -> IO[bytes]:
    check_real(folder)
    make_folder(folder)
    return open_lock_file(folder / _IN_USE)


def _offset(key: str) -> int:
    return int(key[:_DIGITS], 16)
