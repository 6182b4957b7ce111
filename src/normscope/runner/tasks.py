"""The queue of a run's cells: what to run next, what to try again, what has failed. Every engine follows it."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from normscope.protocol import Cell, canonical_config
from normscope.runner.observer import Observer
from normscope.runner.planning import Plan
from normscope.store import Store, StoreError
from normscope.store.locks import CellLocks

_ATTEMPTS = 3
_POLL_SECONDS = 0.1


class Task(NamedTuple):
    """One attempt at a cell."""

    key: str
    cell: Cell
    attempt: int


class TaskQueue:
    """Hands out a plan's new cells and records how each ends. Several threads may use it.

    A cell whose worker died is tried again, up to three times in all. A cell that raised an error or ran out of time is
    not. A cell that another process on the same store is running waits until that process finishes it or gives it up.

    Args:
        plan: the plan whose new cells are to run.
        store: where their rows go.
        observer: notified of every cell, one call at a time.
        locks: keep other processes from running the same cells.
        count_finished: called once for each finished cell.

    Attributes:
        plan: as given.
        store: as given.
        failures: the errors of the cells that failed, by key.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        observer: Observer,
        locks: CellLocks,
        count_finished: Callable[[], object] = lambda: None,
    ) -> None:
        self.plan, self.store = plan, store
        self.failures: dict[str, str] = {}
        self._observer, self._locks, self._count_finished = observer, locks, count_finished
        self._first = (Task(key, cell, 1) for key, cell in plan.new.items())
        self._later: collections.deque[Task] = collections.deque()
        self._elsewhere: set[str] = set()
        self._fatal: str | None = None
        self._closed = False
        self._mutex = threading.RLock()

    def take(self) -> Task | None:
        """The next task: the longest cell first, second attempts last; ``None`` when none can run now."""
        with self._mutex:
            if self._closed:
                return None
            for task in self._first:
                if self._start(task):
                    return task
            for _ in range(len(self._later)):
                task = self._later.popleft()
                if self._start(task):
                    return task
            return None

    def take_or_wait(self) -> Task | None:
        """The next task, after a wait for cells that other processes are running; ``None`` when none is left."""
        while True:
            if (task := self.take()) is not None or not self.waiting:
                return task
            time.sleep(_POLL_SECONDS)

    @property
    def waiting(self) -> bool:
        """Whether :meth:`take` may return a task later even if no running task ends."""
        return bool(self._later) and not self._closed

    def request(self, task: Task) -> dict[str, Any]:
        """The task as :mod:`normscope.runner.worker` reads it."""
        return {
            "key": task.key,
            "function": task.cell.name,
            "module": task.cell.module,
            "version": task.cell.version,
            "config": canonical_config(task.cell.config),
            "device": task.cell.device,
            "store": str(self.store.folder.absolute()),
        }

    def settle(self, task: Task, answer: Mapping[str, Any]) -> None:
        """Record how a task ended.

        Args:
            task: a task that was taken.
            answer: from :meth:`WorkerProcess.run <normscope.runner.worker_process.WorkerProcess.run>`.
        """
        with self._mutex:
            self._locks.release(task.key)
            if self._closed:
                return
            if "fatal" in answer:
                self._fatal = answer["fatal"]
                self.close()
            elif "error" in answer:
                self._fail(task, answer["error"])
            elif "died" not in answer:
                self._finish(task, answer["seconds"])
            elif answer["again"] and task.attempt < _ATTEMPTS:
                self._later.append(task._replace(attempt=task.attempt + 1))
                self._observer.retried(task.cell, answer["died"])
            else:
                self._fail(task, answer["died"])

    def close(self) -> None:
        """Hand out no more tasks, and ignore the answers that still come."""
        with self._mutex:
            self._closed = True

    def check(self) -> None:
        """Raise the error that makes it pointless to continue, if there was one.

        Raises:
            StoreError: a worker could not write its rows.
        """
        if self._fatal is not None:
            raise StoreError(self._fatal)

    def _start(self, task: Task) -> bool:
        """Lock a cell and report that it starts; false when another process is running it or has finished it."""
        if not self._locks.acquire(task.key):
            self._later.append(task)
            if task.key not in self._elsewhere:
                self._elsewhere.add(task.key)
                self._observer.elsewhere(task.cell)
            return False
        found = None if task.key in self.plan.again else self.store.find_one(task.key)
        self._observer.started(task.cell)
        if found is not None:
            self.store.flush()  # The process that has finished the cell may have been killed before it did.
            self._locks.release(task.key)
            self._finish(task, found.seconds)
            return False
        return True

    def _finish(self, task: Task, seconds: float) -> None:
        self._count_finished()
        self._observer.finished(task.cell, seconds)

    def _fail(self, task: Task, error: str) -> None:
        self.failures[task.key] = error
        self._observer.failed(task.cell, error)
