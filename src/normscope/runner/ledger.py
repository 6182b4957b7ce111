"""What an engine has to do and what became of it; the same rules for every engine."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from normscope.protocol import Cell, canonical_config
from normscope.runner.observer import Observer
from normscope.runner.planning import Plan
from normscope.store.locks import Claims
from normscope.store.store import StoreError

_ATTEMPTS = 3
_LOOK_AGAIN_SECONDS = 0.2


class Task(NamedTuple):
    """One attempt at a cell."""

    key: str
    cell: Cell
    attempt: int

    def request(self, folder: Path) -> dict[str, Any]:
        """The cell as a worker takes it, its rows to go to the store in ``folder``."""
        return {
            "key": self.key,
            "function": self.cell.name,
            "module": self.cell.module,
            "version": self.cell.version,
            "config": canonical_config(self.cell.config),
            "store": str(folder.absolute()),
        }


class Ledger:
    """The cells of a plan that wait, and the errors of those that failed. Several threads may use it.

    A cell whose worker died is tried again, up to three times in all; one that raised an error or ran out of time is
    not. A cell that another process on the same store is running waits until that one has finished it or given it up.

    Args:
        plan: whose new cells are to be run.
        observer: hears of every cell, one call at a time.
        claims: tell other processes what is taken.

    Attributes:
        plan: as given.
        failures: the errors of those cells that failed, by key.
    """

    def __init__(self, plan: Plan, observer: Observer, claims: Claims) -> None:
        self.plan = plan
        self.failures: dict[str, str] = {}
        self._observer, self._claims = observer, claims
        self._first = (Task(key, cell, 1) for key, cell in plan.new.items())
        self._later: collections.deque[Task] = collections.deque()
        self._elsewhere: set[str] = set()
        self._fatal: str | None = None
        self._closed = False
        self._lock = threading.RLock()

    def take(self) -> Task | None:
        """The next cell to run, the longest first, second attempts last; ``None`` when none can be run now."""
        with self._lock:
            if self._closed:
                return None
            for task in self._first:
                if self._claimed(task):
                    return task
            for _ in range(len(self._later)):
                task = self._later.popleft()
                if self._claimed(task):
                    return task
            return None

    def take_or_wait(self) -> Task | None:
        """The same, after a wait for cells that other processes are running; ``None`` when none is left."""
        while True:
            if (task := self.take()) is not None or not self.waiting:
                return task
            time.sleep(_LOOK_AGAIN_SECONDS)

    @property
    def waiting(self) -> bool:
        """Whether :meth:`take`, having given ``None``, may give a cell later without a :meth:`settle` in between."""
        return bool(self._later) and not self._closed

    def settle(self, task: Task, answer: Mapping[str, Any]) -> None:
        """Enter what became of a cell.

        Args:
            task: that was taken.
            answer: a worker's: ``seconds`` it took, or the ``error`` it raised, or what makes going on ``fatal``, or
                how the worker ``died`` and whether to try ``again``.
        """
        with self._lock:
            self._claims.release(task.key)
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
                self._later.append(task._replace(attempt=task.attempt + 1))
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

    def _claimed(self, task: Task) -> bool:
        """Take a cell, unless another process has it or has finished it."""
        if not self._claims.take(task.key):
            self._later.append(task)
            if task.key not in self._elsewhere:
                self._elsewhere.add(task.key)
                self._observer.elsewhere(task.cell)
            return False
        found = self._claims.found(task.key)
        self._observer.started(task.cell)
        if found is not None:
            self._claims.release(task.key)
            self._observer.finished(task.cell, found.seconds)
            return False
        return True

    def _fail(self, task: Task, error: str) -> None:
        self.failures[task.key] = error
        self._observer.failed(task.cell, error)
