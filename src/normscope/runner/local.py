"""The local engine: one single-threaded worker process per core, each driven by a thread of this process."""

from __future__ import annotations

import concurrent.futures
import os
import threading

from normscope.runner.tasks import TaskQueue
from normscope.runner.worker_process import WorkerProcess, WorkerSettings, import_path


class LocalEngine:
    """Runs cells in worker processes of this machine; they stay for the next plan until :meth:`close`."""

    def __init__(self) -> None:
        self._workers: set[WorkerProcess] = set()
        self._idle: list[WorkerProcess] = []
        self._lock = threading.Lock()
        self._stopped = False

    def cores(self) -> int:
        """Number of processor cores that this process may use."""
        return available_cores()

    def run(self, queue: TaskQueue, timeout: float | None) -> None:
        """Run the queue's tasks.

        Raises:
            OSError: a worker process cannot be started.
        """
        self._stopped = False
        side_by_side = min(queue.plan.workers, len(queue.plan.new))
        with concurrent.futures.ThreadPoolExecutor(side_by_side) as pool:
            try:
                threads = [pool.submit(self._run_tasks, queue, timeout) for _ in range(side_by_side)]
                ended, _ = concurrent.futures.wait(threads, return_when=concurrent.futures.FIRST_EXCEPTION)
                for thread in ended:
                    thread.result()
            except BaseException:
                queue.close()
                self.close()
                raise

    def close(self) -> None:
        """End every worker at once."""
        with self._lock:
            self._stopped = True
            for worker in self._workers:
                worker.stop()
            self._workers.clear()
            self._idle.clear()

    def _run_tasks(self, queue: TaskQueue, timeout: float | None) -> None:
        """Run tasks until none is left, in a worker that is replaced when it dies."""
        worker: WorkerProcess | None = None
        while (task := queue.take_or_wait()) is not None:
            worker = worker or self._free_worker()
            queue.settle(task, worker.run(queue.request(task), timeout))
            if not worker.alive:
                with self._lock:
                    self._workers.discard(worker)
                worker = None
        if worker is not None:
            with self._lock:
                self._idle.append(worker)

    def _free_worker(self) -> WorkerProcess:
        """An idle worker, or a new one."""
        with self._lock:
            while self._idle:
                if (worker := self._idle.pop()).alive:
                    return worker
                self._workers.discard(worker)
            worker = WorkerProcess(WorkerSettings(import_path()))
            self._workers.add(worker)
            if self._stopped:
                worker.stop()
            return worker


def available_cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
