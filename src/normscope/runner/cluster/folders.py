"""Private folders for temporary files, which are removed by a later run if their owner is killed.

The owner of such a folder holds a lock of the operating system on the folder itself. The lock ends with the owner,
however it ends. So a folder that nobody has locked is a dead owner's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class LockedFolder:
    """A new folder that only this user can enter, locked until it is removed or this process ends.

    Args:
        parent: where it is made.
        prefix: what its name begins with.

    Attributes:
        path: the folder.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, parent: Path, prefix: str) -> None:
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
            self._handle = os.open(self.path, _FLAGS)
            with contextlib.suppress(OSError):  # On a file system without locks leftovers stay.
                fcntl.flock(self._handle, fcntl.LOCK_EX)
            if _is_at(self._handle, self.path):
                return
            os.close(self._handle)  # Another process has taken it for a leftover before it was locked.

    def remove(self) -> None:
        """Remove the folder with all that is in it. What cannot be removed is left to a later run."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._handle)

    def __enter__(self) -> LockedFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.remove()


def remove_leftovers(parent: Path, prefix: str, before: Callable[[Path], None] = lambda folder: None) -> None:
    """Remove the folders of dead owners. What cannot be removed now is left to a later run.

    Args:
        parent: where the folders were made.
        prefix: what their names begin with.
        before: called with each of them before it is removed.
    """
    name = re.compile(re.escape(prefix) + "[a-z0-9_]{8}")
    with contextlib.suppress(OSError):
        for folder in sorted(parent.iterdir()):
            if name.fullmatch(folder.name):
                with contextlib.suppress(OSError):
                    _remove_leftover(folder, before)


def _remove_leftover(folder: Path, before: Callable[[Path], None]) -> None:
    handle = os.open(folder, _FLAGS)
    try:
        status = os.fstat(handle)
        if status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) != stat.S_IRWXU:
            return
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(handle, folder):
            before(folder)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open folder is still the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False
