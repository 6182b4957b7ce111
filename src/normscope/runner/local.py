"""The local engine: single-threaded worker processes, each driven by a thread of this process."""

from __future__ import annotations

import concurrent.futures
import itertools
import os
import threading
from collections.abc import Iterator

from normscope import devices
from normscope.runner.tasks import TaskQueue
from normscope.runner.worker_process import WorkerProcess, WorkerSettings, import_path

WORKERS_PER_DEVICE = 4
"""How many workers share an accelerator. One small network leaves it idle most of the time: its kernels are shorter
than the time that Python takes to start them. Each worker takes about half a gigabyte of the accelerator's memory
before its first cell, and processes take turns on it, so that many more gain little."""


class LocalEngine:
    """Runs cells in worker processes of this machine; they stay for the next plan until :meth:`close`.

    Where there are several GPUs, each worker gets one of them, in turn.
    """

    def __init__(self) -> None:
        self._workers: set[WorkerProcess] = set()
        self._idle: list[WorkerProcess] = []
        self._lock = threading.Lock()
        self._stopped = False
        self._gpus: Iterator[str] | None = None

    def kind_of(self, device: str) -> str:
        """The kind of device that a name stands for on this machine."""
        return devices.kind_of(device)

    def workers(self, kind: str) -> int:
        """One for each core, or four for each accelerator."""
        return workers_here(kind)

    def run(self, queue: TaskQueue, timeout: float | None) -> None:
        """Run the queue's tasks.

        Raises:
            OSError: a worker process cannot be started.
        """
        self._stopped = False
        if any(cell.device == "cuda" for cell in queue.plan.new.values()):
            gpus = devices.visible_gpus()
            self._gpus = itertools.cycle(gpus) if len(gpus) > 1 else None
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
            environment = {"CUDA_VISIBLE_DEVICES": next(self._gpus)} if self._gpus is not None else {}
            worker = WorkerProcess(WorkerSettings(import_path(), environment))
            self._workers.add(worker)
            if self._stopped:
                worker.stop()
            return worker


def workers_here(kind: str) -> int:
    """How many workers run side by side on a kind of device of this machine unless the user wants another number."""
    cores = available_cores()
    return cores if kind == "cpu" else shared_by(len(devices.models(kind)), cores)


def shared_by(accelerators: int, cores: int) -> int:
    """How many workers share some accelerators, at most one for each core."""
    return max(1, min(cores, accelerators * WORKERS_PER_DEVICE))


def available_cores() -> int:
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
