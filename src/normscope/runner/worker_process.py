"""A worker process as its driver sees it: a single-threaded process that runs one cell after another."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from typing import IO, Any

_STDERR_TAIL = 2_000  # bytes

# A small network trains fastest as one thread per process. If glibc gave memory back to the system after every large
# tensor, that would cost about 40 % there.
_ONE_GIBIBYTE = str(2**30)
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": _ONE_GIBIBYTE,
    "MALLOC_TRIM_THRESHOLD_": _ONE_GIBIBYTE,
    "PYTHONUNBUFFERED": "1",
}


@dataclasses.dataclass(frozen=True)
class WorkerSettings:
    """How a worker process is started.

    Attributes:
        path: import path for the cells, after the process's own.
        environment: variables to set besides this process's own.
        folder: working directory; by default this process's.
    """

    path: tuple[str, ...]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    folder: str | None = None


class WorkerProcess:
    """A process that runs :mod:`normscope.runner.worker`, and the pipes to it. It is the same for every engine.

    Args:
        settings: how to start it.

    Attributes:
        settings: as given.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        self._timed_out = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "normscope.runner.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **_ENVIRONMENT, **settings.environment},
            cwd=settings.folder,
            start_new_session=True,
        )
        self._send({"path": settings.path})

    def run(self, request: Mapping[str, Any], timeout: float | None) -> dict[str, Any]:
        """Run a cell and wait for the answer.

        Args:
            request: the cell, as :mod:`normscope.runner.worker` reads it.
            timeout: seconds after which the process is killed.

        Returns:
            The worker's answer: ``seconds``, how long the cell took; or ``error``, what it raised; or ``fatal``, why
            no cell's rows can be written. When the process ended without an answer: ``died``, the reason, and
            ``again``, whether another attempt makes sense.
        """
        assert self._process.stdout is not None
        timer = threading.Timer(timeout, self._time_out) if timeout is not None else None
        if timer is not None:
            timer.start()
        try:
            self._send(request)
            line = self._process.stdout.readline()
        finally:
            if timer is not None:
                timer.cancel()
        if line.endswith("\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        status = self._process.wait()
        if self._timed_out:
            return {"died": f"stopped after {timeout:g} s (--cell-timeout)", "again": False}
        return {"died": self._exit_reason(status), "again": True}

    @property
    def alive(self) -> bool:
        """Whether the process can run another cell."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()

    def _exit_reason(self, status: int) -> str:
        """Why the process ended, with the last line it wrote to the standard error."""
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - _STDERR_TAIL))
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        cause = f"signal {-status}" if status < 0 else f"exit status {status}"
        if -status == signal.SIGKILL:
            cause += " (killed; perhaps out of memory: fewer workers need less)"
        return f"its worker ended with {cause}" + (f": {lines[-1]}" if lines else "")

    def _time_out(self) -> None:
        self._timed_out = True
        self._process.kill()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # The process is dead: reading its answer shows that.
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()


def import_path() -> tuple[str, ...]:
    """The import path of this process, with absolute entries."""
    return tuple(os.path.abspath(entry) for entry in sys.path)
