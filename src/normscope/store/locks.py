"""Which cells a process is running, told to other processes on the same folder, so that none is run twice."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Collection
from types import TracebackType

from normscope.store.segments import About
from normscope.store.store import Store

_DIGITS = 15  # of a key: as much as an offset within a file can hold


class Claims:
    """The cells that this process has taken from a store.

    A claim is the system's lock on one byte of the file ``.claims``, at an offset made of the cell's key; it goes with
    the process, however that ends. Where a file system knows no locks every claim is granted, and two processes run
    some cells twice, to the same end.

    Args:
        store: whose cells.
        anew: keys that are run though the store has them.
    """

    def __init__(self, store: Store, anew: Collection[str]) -> None:
        self._store, self._anew = store, anew
        self._file = (store.folder / ".claims").open("w")

    def __enter__(self) -> Claims:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._file.close()

    def take(self, key: str) -> bool:
        """Claim a cell; false when another process has it."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _offset(key))
        except (BlockingIOError, PermissionError):
            return False
        except OSError:
            return True
        return True

    def release(self, key: str) -> None:
        """Give a cell up, finished or not."""
        with contextlib.suppress(OSError):
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _offset(key))

    def found(self, key: str) -> About | None:
        """A cell that another process has finished since this one planned to run it."""
        return None if key in self._anew else self._store.find_one(key)


def _offset(key: str) -> int:
    return int(key[:_DIGITS], 16)
