"""The local engine: one single-threaded worker process a core, started once and fed by one thread each."""

from __future__ import annotations

import concurrent.futures
import os
import sys
import threading

from normscope.runner.ledger import Ledger
from normscope.runner.processes import Worker
from normscope.store.store import Store


class LocalEngine:
    """Runs cells in worker processes of this machine; they stay for the next plan until :meth:`close`."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._hired: set[Worker] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def cores(self) -> int:
        """The processor cores that this process may use."""
        return available_cores()

    def run(self, ledger: Ledger, store: Store, timeout: float | None) -> None:
        """Run the cells that the ledger hands out."""
        self._stopped = False
        side_by_side = min(ledger.plan.workers, len(ledger.plan.new))
        with concurrent.futures.ThreadPoolExecutor(side_by_side) as pool:
            feeders = [pool.submit(self._feed, ledger, store, timeout) for _ in range(side_by_side)]
            try:
                for feeder in feeders:
                    feeder.result()
            except BaseException:
                ledger.close()
                self.close()
                raise

    def close(self) -> None:
        """End every worker at once."""
        with self._lock:
            self._stopped = True
            for worker in self._hired:
                worker.stop()
            self._hired.clear()
            self._idle.clear()

    def _feed(self, ledger: Ledger, store: Store, timeout: float | None) -> None:
        """Run cells until none is left, with a worker that is replaced when it dies."""
        worker: Worker | None = None
        while (task := ledger.take_or_wait()) is not None:
            worker = worker or self._hire()
            ledger.settle(task, worker.ask(task.request(store.folder), timeout))
            if not worker.alive:
                self._dismiss(worker)
                worker = None
        if worker is not None:
            with self._lock:
                self._idle.append(worker)

    def _hire(self) -> Worker:
        with self._lock:
            while self._idle:
                if (worker := self._idle.pop()).alive:
                    return worker
                self._hired.discard(worker)
            worker = Worker([os.path.abspath(entry) for entry in sys.path])
            self._hired.add(worker)
            if self._stopped:
                worker.stop()
            return worker

    def _dismiss(self, worker: Worker) -> None:
        with self._lock:
            self._hired.discard(worker)


def available_cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
