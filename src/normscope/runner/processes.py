"""A worker as whoever feeds it sees it: a single-threaded process that runs the cells it is sent, one after another."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any

_LAST_WORDS = 2_000

# A small network trains fastest as one thread a process; glibc giving memory back to the system after every large
# tensor would cost about 40 % there.
_ONE_GIBIBYTE = str(2**30)
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": _ONE_GIBIBYTE,
    "MALLOC_TRIM_THRESHOLD_": _ONE_GIBIBYTE,
    "PYTHONUNBUFFERED": "1",
}


class Worker:
    """A worker process (:mod:`normscope.runner.worker`) and the pipes to it; whichever engine feeds it, it is the same.

    Args:
        path: the import path its cells see after its own.
        environment: variables it gets besides this process's.
        folder: its working directory; by default this process's.
    """

    def __init__(
        self, path: Sequence[str], environment: Mapping[str, str] | None = None, folder: str | None = None
    ) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        self._timed_out = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "normscope.runner.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **_ENVIRONMENT, **(environment or {})},
            cwd=folder,
            start_new_session=True,
        )
        self._send({"path": list(path)})

    def ask(self, request: Mapping[str, Any], timeout: float | None) -> dict[str, Any]:
        """Have a cell run.

        Args:
            request: as :mod:`normscope.runner.worker` takes it.
            timeout: seconds after which the process is killed.

        Returns:
            The worker's answer; or, when the process ended, ``died``, its last words, and ``again``, whether another
            attempt makes sense.
        """
        assert self._process.stdout is not None
        clock = threading.Timer(timeout, self._run_out) if timeout is not None else None
        if clock is not None:
            clock.start()
        try:
            self._send(request)
            line = self._process.stdout.readline()
        finally:
            if clock is not None:
                clock.cancel()
        if line.endswith("\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        status = self._process.wait()
        if self._timed_out:
            return {"died": f"stopped after {timeout:g} s (--cell-timeout)", "again": False}
        return {"died": self._obituary(status), "again": True}

    @property
    def alive(self) -> bool:
        """Whether the process can take another cell."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()

    def _obituary(self, status: int) -> str:
        """Why the process ended, with the last line it wrote."""
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - _LAST_WORDS))
        words = self._errors.read().decode(errors="replace").strip().splitlines()
        cause = f"signal {-status}" if status < 0 else f"exit status {status}"
        if -status == signal.SIGKILL:
            cause += " (killed; perhaps out of memory: fewer workers need less)"
        return f"its worker ended with {cause}" + (f": {words[-1]}" if words else "")

    def _run_out(self) -> None:
        self._timed_out = True
        self._process.kill()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # The worker is dead: reading its answer says so.
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
