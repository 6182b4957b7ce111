"""Locks of the operating system. Each ends with its process, however that ends, so a lock is never stale."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import warnings
from pathlib import Path
from types import TracebackType
from typing import IO

from filelock import FileLock, Timeout

from normscope.disk.reading import check_regular
from normscope.errors import DamagedError, NormscopeWarning

_SILENT_SECONDS, _POLL_SECONDS = 1.0, 0.02


class WaitingLock:
    """A lock that is waited for. The thread that holds it may take it again.

    After a second of waiting, a warning names it, so that nobody waits without knowing what for.

    Args:
        path: the lock's file; its folder exists when the lock is taken.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, FileLock(path)

    def __enter__(self) -> WaitingLock:
        """Take the lock.

        Raises:
            OSError: the file cannot be made or locked.
            DamagedError: something else than a regular file is in its place, or one that has other names, too.
        """
        _check(self._path)
        try:
            self._lock.acquire(timeout=_SILENT_SECONDS)
        except Timeout:
            _name(self._path)
            self._lock.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._lock.release()


def share(file: IO[bytes], path: Path) -> None:
    """Lock a file that :func:`open_lock_file` has opened, as any number of processes may that share it.

    The call waits while another process has the file alone. After a second of waiting, a warning names it.

    Raises:
        OSError: the file cannot be locked.
    """
    end = time.monotonic() + _SILENT_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return
        time.sleep(_POLL_SECONDS)
    _name(path)
    fcntl.flock(file, fcntl.LOCK_SH)


def open_lock_file(path: Path) -> IO[bytes]:
    """A file whose bytes can be locked; it is made if it is missing and never truncated.

    Raises:
        OSError: the file cannot be made or opened.
        DamagedError: something else than a regular file is in its place, or one that has other names, too.
    """
    _check(path)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    return os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0)


def _check(path: Path) -> None:
    """Refuse what is no file of one name. Two locks that are one file would have a process wait for itself."""
    with contextlib.suppress(FileNotFoundError):
        check_regular(path)
        if os.lstat(path).st_nlink > 1:
            raise DamagedError(f"{path} is a file that has other names, too (hard links): remove it.")


def _name(path: Path) -> None:
    warnings.warn(f"waiting for another process that holds {path}.", NormscopeWarning, stacklevel=3)
