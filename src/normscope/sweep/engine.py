"""The local engine: one single-threaded worker process a core, fed by one thread each."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import IO, Any

from normscope.protocol import Cell, canonical_config
from normscope.sweep.claims import Claims
from normscope.sweep.housekeeping import housekeeping
from normscope.sweep.observer import Observer
from normscope.sweep.planning import Plan
from normscope.sweep.store import Store, StoreError

_ATTEMPTS = 3
_LAST_WORDS = 2_000
_LOOK_AGAIN_SECONDS = 0.2

# A small network trains fastest as one thread a process; glibc giving memory back to the system after every large
# tensor would cost about 40 % there.
_ONE_GIBIBYTE = str(2**30)
_WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": _ONE_GIBIBYTE,
    "MALLOC_TRIM_THRESHOLD_": _ONE_GIBIBYTE,
    "PYTHONUNBUFFERED": "1",
}


def run(plan: Plan, store: Store, observer: Observer, timeout: float | None = None) -> dict[str, str]:
    """Run a plan's new cells; finished ones are in the store as soon as they end.

    Args:
        plan: what to run, and with how many workers.
        store: where the rows go.
        observer: hears of every cell.
        timeout: seconds after which a cell is stopped and counts as failed; ``None`` for no limit.

    Returns:
        The error of every failed cell, by key.

    Raises:
        StoreError: when results can no longer be kept; what is finished stays.
        KeyboardInterrupt: handed on once the workers are stopped.
    """
    if not plan.new:
        return {}
    store.check_writable()
    store.remove_leftovers()
    side_by_side = min(plan.workers, len(plan.new))
    with (
        store.in_use(),
        housekeeping(store, observer) as watching,
        Claims(store, store.keys()) as claims,
        concurrent.futures.ThreadPoolExecutor(side_by_side) as pool,
    ):
        sweep = _Sweep(plan, store, watching, timeout, claims)
        feeders = [pool.submit(sweep.feed) for _ in range(side_by_side)]
        try:
            for feeder in feeders:
                feeder.result()
        finally:
            sweep.stop()
    if sweep.fatal is not None:
        raise StoreError(sweep.fatal)
    store.compact()
    return sweep.failures


class _Sweep:
    """The state that the feeding threads share, and what each of them does."""

    def __init__(
        self, plan: Plan, store: Store, observer: Observer, timeout: float | None, claims: Claims
    ) -> None:
        self.failures: dict[str, str] = {}
        self.fatal: str | None = None
        self._waiting = collections.deque((key, cell, 1) for key, cell in plan.new.items())
        self._store, self._observer, self._timeout, self._claims = store, observer, timeout, claims
        self._lock = threading.RLock()
        self._workers: set[_Worker] = set()
        self._stopped = False

    def feed(self) -> None:
        """Take cells until none is left, with a worker of one's own that is replaced when it dies."""
        worker: _Worker | None = None
        while (task := self._take()) is not None:
            key, cell, attempt = task
            worker = worker or self._hire()
            answer = worker.ask(self._request(key, cell), self._timeout)
            if answer is None:
                self._bury(worker, key, cell, attempt)
                worker = None
            else:
                self._settle(key, cell, answer)
        if worker is not None:
            worker.stop()

    def stop(self) -> None:
        """End every worker at once."""
        with self._lock:
            self._stopped = True
            self._waiting.clear()
            for worker in self._workers:
                worker.stop()

    def _take(self) -> tuple[str, Cell, int] | None:
        """The next cell that no other process is running, once there is one; ``None`` when none is left."""
        while True:
            with self._lock:
                for _ in range(len(self._waiting)):
                    task = self._waiting.popleft()
                    if not self._claims.take(task[0]):
                        self._waiting.append(task)
                    elif (found := self._claims.found(task[0])) is not None:
                        self._claims.release(task[0])
                        self._observer.finished(task[1], found.seconds)
                    else:
                        self._observer.started(task[1])
                        return task
                if not self._waiting:
                    return None
            time.sleep(_LOOK_AGAIN_SECONDS)

    def _hire(self) -> _Worker:
        with self._lock:
            worker = _Worker()
            self._workers.add(worker)
            if self._stopped:
                worker.stop()
            return worker

    def _request(self, key: str, cell: Cell) -> dict[str, Any]:
        return {
            "key": key,
            "function": cell.function,
            "version": cell.version,
            "config": canonical_config(cell.config),
            "store": os.path.abspath(self._store.folder),
        }

    def _settle(self, key: str, cell: Cell, answer: Mapping[str, Any]) -> None:
        with self._lock:
            self._claims.release(key)
            if "fatal" in answer:
                self.fatal = answer["fatal"]
                self._waiting.clear()
            elif "error" in answer:
                self.failures[key] = answer["error"]
                self._observer.failed(cell, answer["error"])
            else:
                self._observer.finished(cell, answer["seconds"])

    def _bury(self, worker: _Worker, key: str, cell: Cell, attempt: int) -> None:
        """Deal with a worker that died: its cell is tried again, unless it ran out of time or of attempts."""
        error = worker.obituary(self._timeout)
        with self._lock:
            self._workers.discard(worker)
            self._claims.release(key)
            if self._stopped:
                return
            if attempt < _ATTEMPTS and not worker.timed_out:
                self._waiting.append((key, cell, attempt + 1))
                self._observer.retried(cell, error)
            else:
                self.failures[key] = error
                self._observer.failed(cell, error)


@dataclasses.dataclass(eq=False)
class _Worker:
    """A worker process and the pipes to it."""

    process: subprocess.Popen[str] = dataclasses.field(init=False)
    timed_out: bool = dataclasses.field(default=False, init=False)

    def __post_init__(self) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "normscope.sweep.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **_WORKER_ENVIRONMENT},
            start_new_session=True,
        )
        self._send({"path": [os.path.abspath(entry) for entry in sys.path]})

    def ask(self, request: Mapping[str, Any], timeout: float | None) -> dict[str, Any] | None:
        """Have a cell run; ``None`` when the worker died of it."""
        assert self.process.stdout is not None
        clock = threading.Timer(timeout, self._run_out) if timeout is not None else None
        if clock is not None:
            clock.start()
        try:
            self._send(request)
            line = self.process.stdout.readline()
        finally:
            if clock is not None:
                clock.cancel()
        answer: dict[str, Any] | None = json.loads(line) if line.endswith("\n") else None
        return answer

    def obituary(self, timeout: float | None) -> str:
        """Why the worker died, with the last line it wrote."""
        status = self.process.wait()
        if self.timed_out:
            return f"stopped after {timeout:g} s (--cell-timeout)"
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - _LAST_WORDS))
        words = self._errors.read().decode(errors="replace").strip().splitlines()
        cause = f"signal {-status}" if status < 0 else f"exit status {status}"
        if -status == signal.SIGKILL:
            cause += " (killed; perhaps out of memory: fewer workers need less)"
        return f"its worker ended with {cause}" + (f": {words[-1]}" if words else "")

    def stop(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.wait()

    def _run_out(self) -> None:
        self.timed_out = True
        self.process.kill()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return  # The worker is dead: reading its answer says so.
