"""The store kept in order while a run goes on: finished cells go into segments as they become many."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from normscope.runner.observer import Observer
from normscope.store.store import Store, StoreError

if TYPE_CHECKING:
    from normscope.protocol import Cell
    from normscope.runner.planning import Plan


@contextlib.contextmanager
def housekeeping(store: Store, observer: Observer) -> Iterator[Observer]:
    """A thread that compacts the store as cells finish, so that workers never wait for it.

    Yields:
        The observer to run under: it counts what finishes and hands everything on.
    """
    keeper = _Keeper(store, observer)
    thread = threading.Thread(target=keeper.keep, daemon=True)
    thread.start()
    try:
        yield keeper
    finally:
        keeper.end()
        thread.join()


class _Keeper:
    """An observer between a run and whoever watches it."""

    def __init__(self, store: Store, observer: Observer) -> None:
        self._store, self._observer = store, observer
        self._due = threading.Event()
        self._ended = False
        self._finished = 0

    def keep(self) -> None:
        """Compact whenever it is due. A disk that refuses is the workers' to report: here, nothing is lost."""
        while self._due.wait() and not self._ended:
            self._due.clear()
            with contextlib.suppress(StoreError):
                self._store.compact()

    def end(self) -> None:
        """No more of it."""
        self._ended = True
        self._due.set()

    def planned(self, plan: Plan) -> None:
        self._observer.planned(plan)

    def started(self, cell: Cell) -> None:
        self._observer.started(cell)

    def elsewhere(self, cell: Cell) -> None:
        self._observer.elsewhere(cell)

    def finished(self, cell: Cell, seconds: float) -> None:
        self._finished += 1
        if self._finished % self._store.compact_at == 0:
            self._due.set()
        self._observer.finished(cell, seconds)

    def retried(self, cell: Cell, error: str) -> None:
        self._observer.retried(cell, error)

    def failed(self, cell: Cell, error: str) -> None:
        self._observer.failed(cell, error)
