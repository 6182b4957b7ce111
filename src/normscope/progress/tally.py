"""How far a run is: the numbers that every display shows."""

from __future__ import annotations

import collections
import threading
import time
from typing import TYPE_CHECKING

from normscope.progress.words import duration, rate

if TYPE_CHECKING:
    from normscope.protocol import Cell
    from normscope.runner import Plan

_ENOUGH_DONE = 0.1
_LAST = 3


class Tally:
    """Counts a plan's new cells as they start and end. One thread may read while another counts.

    Until a tenth of the work is done, the time left is the plan's estimate, since the workers' start-up would make
    the cells look slow. From then on it follows from the cells that are done. Work is measured in the cells' costs.

    Attributes:
        total: number of new cells.
        done: number of cells that have ended, failed ones included.
        failed: number of cells that have failed.
        last: the cells that ended last, in words, the latest first.
    """

    def __init__(self, plan: Plan) -> None:
        self.total, self.done, self.failed = len(plan.new), 0, 0
        self.last: collections.deque[str] = collections.deque(maxlen=_LAST)
        self._workers = plan.workers
        self._under_way = 0
        self._elsewhere: set[Cell] = set()
        self._work = sum(cell.cost for cell in plan.new.values())
        self._work_done = 0.0
        self._started = self._counted = time.monotonic()
        self._left = plan.estimate.seconds
        self._lock = threading.Lock()

    def start(self, cell: Cell) -> None:
        """Count a cell that an engine has taken."""
        self._under_way += 1
        self._elsewhere.discard(cell)

    def elsewhere(self, cell: Cell) -> None:
        """Count a cell that another process is running."""
        self._elsewhere.add(cell)

    def retry(self) -> None:
        """Count a cell that will be tried again."""
        self._under_way -= 1

    def end(self, cell: Cell, seconds: float | None) -> None:
        """Count a cell that has ended after ``seconds``, or failed (``None``)."""
        with self._lock:
            self.done += 1
            self.failed += seconds is None
            self._under_way = max(0, self._under_way - 1)
            self._work_done += cell.cost
            took = "failed" if seconds is None else f"{seconds:.1f} s"
            self.last.appendleft(f"{took}  {cell.describe()}")
            now = time.monotonic()
            if (share := self._work_done / self._work) >= _ENOUGH_DONE:
                self._left, self._counted = (now - self._started) * (1 / share - 1), now

    @property
    def running(self) -> int:
        """Number of cells that run, without those that wait in an engine's own queue."""
        return min(self._under_way, self._workers)

    @property
    def elapsed(self) -> float:
        """Seconds since the tally was made."""
        return time.monotonic() - self._started

    @property
    def left(self) -> str:
        """The time left, in words."""
        seconds = self._left - (time.monotonic() - self._counted)
        if seconds < 0 and self._counted == self._started:
            return "longer than estimated"
        return f"about {duration(max(0.0, seconds))} left"

    def describe(self) -> str:
        """The tally in one line, the most important numbers first."""
        with self._lock:
            parts = [
                f"{self.done}/{self.total} cells",
                self.left,
                f"{self.running} running",
            ]
            if self._elsewhere:
                parts.append(f"{len(self._elsewhere)} in another run")
            if self.failed:
                parts.append(f"{self.failed} failed")
            if self.done:
                parts.append(rate(self.done / max(self.elapsed, 1e-9)))
            return " · ".join([*parts, f"{duration(self.elapsed)} so far"])
