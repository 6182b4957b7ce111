"""What an engine has to do and what became of it; the same rules for every engine."""

from __future__ import annotations

import collections
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from normscope.protocol import Cell, canonical_config
from normscope.sweep.observer import Observer
from normscope.sweep.planning import Plan
from normscope.sweep.store import StoreError

_ATTEMPTS = 3


class Task(NamedTuple):
    """One attempt at a cell."""

    key: str
    cell: Cell
    attempt: int

    def request(self, folder: Path) -> dict[str, Any]:
        """The cell as a worker takes it, its rows to go to the store in ``folder``."""
        return {
            "key": self.key,
            "function": self.cell.function,
            "version": self.cell.version,
            "config": canonical_config(self.cell.config),
            "store": str(folder.absolute()),
        }


class Ledger:
    """The cells of a plan that wait, and the errors of those that failed. Several threads may use it.

    A cell whose worker died is tried again, up to three times in all; one that raised an error or ran out of time is
    not.
    """

    def __init__(self, plan: Plan, observer: Observer) -> None:
        self.failures: dict[str, str] = {}
        self._observer = observer
        self._first = iter(plan.new.items())
        self._again: collections.deque[Task] = collections.deque()
        self._fatal: str | None = None
        self._closed = False
        self._lock = threading.RLock()

    def take(self) -> Task | None:
        """The next cell to run, the longest first, second attempts last; ``None`` when none waits."""
        with self._lock:
            if self._closed:
                return None
            key, cell = next(self._first, (None, None))
            if key is not None and cell is not None:
                task = Task(key, cell, 1)
            elif self._again:
                task = self._again.popleft()
            else:
                return None
            self._observer.started(task.cell)
            return task

    def settle(self, task: Task, answer: Mapping[str, Any]) -> None:
        """Enter what became of a cell.

        Args:
            task: that was taken.
            answer: a worker's: ``seconds`` it took, or the ``error`` it raised, or what makes going on ``fatal``, or
                how the worker ``died`` and whether to try ``again``.
        """
        with self._lock:
            if self._closed:
                return
            if "fatal" in answer:
                self._fatal = answer["fatal"]
                self.close()
            elif "error" in answer:
                self._fail(task, answer["error"])
            elif "died" not in answer:
                self._observer.finished(task.cell, answer["seconds"])
            elif answer["again"] and task.attempt < _ATTEMPTS:
                self._again.append(task._replace(attempt=task.attempt + 1))
                self._observer.retried(task.cell, answer["died"])
            else:
                self._fail(task, answer["died"])

    def close(self) -> None:
        """Hand out nothing more and listen to no more answers."""
        with self._lock:
            self._closed = True

    def check(self) -> None:
        """Whether going on makes sense.

        Raises:
            StoreError: when a worker could not keep its rows.
        """
        if self._fatal is not None:
            raise StoreError(self._fatal)

    def _fail(self, task: Task, error: str) -> None:
        self.failures[task.key] = error
        self._observer.failed(task.cell, error)
