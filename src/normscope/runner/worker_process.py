"""A worker process as its driver sees it: a single-threaded process that runs one cell after another."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import IO, Any

_STDERR_TAIL = 2_000  # bytes
_CHUNK = 65_536
_POLL_SECONDS, _SHORT_SECONDS = 0.5, 0.01

# A small network trains fastest as one thread per process. If glibc gave memory back to the system after every large
# tensor, that would cost about 40 % there.
_ONE_GIBIBYTE = str(2**30)
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": _ONE_GIBIBYTE,
    "MALLOC_TRIM_THRESHOLD_": _ONE_GIBIBYTE,
}
_NOT_FOR_WORKERS = ("PYTHONWARNINGS", "PYTHONINSPECT")
"""Nobody sees a worker's warnings, so they must not be turned into errors there; nobody talks to it when it ends."""


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

    The process leads a group of its own. On Linux the system kills the group, with all that a cell may have started,
    at the moment at which this process ends, whatever they are doing: see :func:`_tie`. Elsewhere the worker sees the
    end of its input, as soon as its cell lets another thread run.

    Args:
        settings: how to start it.

    Attributes:
        settings: as given.

    Raises:
        OSError: the system starts no further process.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self._stderr_tail = b""
        try:
            self._process, self._lifeline = _start(settings)
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(error.errno, f"cannot start a worker process: {reason}") from error
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
        self._send(request)
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        if (line := self._read_line(deadline)) is not None:
            answer: dict[str, Any] = json.loads(line)
            if answer.pop("lost", False):
                self.stop()
            return answer
        too_late = not self._ended() and time.monotonic() >= deadline
        self.stop()
        if too_late:
            return {"died": f"stopped after {timeout:g} s (--cell-timeout)", "again": False}
        return {"died": self._exit_reason(self._process.returncode), "again": True}

    @property
    def alive(self) -> bool:
        """Whether the process can run another cell."""
        return not self._ended()

    def stop(self) -> None:
        """Kill the process, and what its cell has started."""
        if not self._ended():
            self._kill_group()
            self._process.wait()

    def _read_line(self, deadline: float) -> bytes | None:
        """The worker's next answer; ``None`` when the worker has ended, or at the deadline.

        What the worker writes to its standard error is read on the way, and its end is kept.
        """
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        answers, errors = self._process.stdout.fileno(), self._process.stderr.fileno()
        poll = select.poll()
        poll.register(answers, select.POLLIN)
        poll.register(errors, select.POLLIN)
        line, open_answers = b"", True
        while True:
            # The pipes of a worker that has ended may stay open, in a process that its cell has started, and hold the
            # worker's last words. So they are read once more.
            ended = self._ended()
            left = 0.0 if ended else min(max(0.0, deadline - time.monotonic()), _POLL_SECONDS)
            for descriptor, _ in poll.poll(1000 * (left if open_answers else min(left, _SHORT_SECONDS))):
                if not (content := os.read(descriptor, _CHUNK)):
                    poll.unregister(descriptor)
                    open_answers &= descriptor != answers
                elif descriptor == answers:
                    line += content
                else:
                    self._stderr_tail = (self._stderr_tail + content)[-_STDERR_TAIL:]
            if line.endswith(b"\n"):
                return line
            if ended or time.monotonic() >= deadline:
                return None

    def _ended(self) -> bool:
        """Whether the process has ended; then what its cell has started is killed, too."""
        if self._process.returncode is None and self._process.poll() is not None:
            self._kill_group()
        return self._process.returncode is not None

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: no permission for a zombie
            os.killpg(self._process.pid, signal.SIGKILL)

    def _exit_reason(self, status: int) -> str:
        """Why the process ended, with the last line it wrote to the standard error."""
        lines = self._stderr_tail.decode(errors="replace").strip().splitlines()
        cause = f"signal {-status}" if status < 0 else f"exit status {status}"
        if -status == signal.SIGKILL:
            cause += " (killed; perhaps out of memory: fewer workers need less)"
        return f"its worker ended with {cause}" + (f": {lines[-1]}" if lines else "")

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # The process is dead: reading its answer shows that.
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()


def _start(settings: WorkerSettings) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """A new worker, and the end of a pipe whose closing kills it (see :func:`_tie`)."""
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_WORKERS}
    far_end, near_end = os.pipe()
    lifeline = os.fdopen(near_end, "wb", buffering=0)
    try:
        process = subprocess.Popen(
            [sys.executable, *_interpreter_options(), "-m", "normscope.runner.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environment, **_ENVIRONMENT, **settings.environment},
            cwd=settings.folder,
            start_new_session=True,
            pass_fds=(far_end,),
        )
        _tie(far_end, process.pid)
    except BaseException:
        lifeline.close()
        raise
    finally:
        os.close(far_end)
    return process, lifeline


def _interpreter_options() -> list[str]:
    """The options of Python for a worker: nothing is imported from its folder, nor from elsewhere than here.

    Standard streams are not buffered, so that a worker's last words are not lost.
    """
    kept = {"-I": sys.flags.isolated, "-E": sys.flags.ignore_environment, "-s": sys.flags.no_user_site}
    return ["-u", "-P", *(option for option, is_set in kept.items() if is_set)]


def _tie(far_end: int, group: int) -> None:
    """Have the system kill a group of processes when the last near end of a pipe is closed, by the end of this process.

    Linux sends a signal of our choice to the owner of a pipe's end when the other end is closed. The pipe's end, its
    owner and the signal are the same in the processes that have inherited the end. Nothing is asked of the workers,
    which may hold the interpreter's lock for minutes. Other systems cannot choose the signal.
    """
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(far_end, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(far_end, fcntl.F_SETOWN, -group)
        fcntl.fcntl(far_end, fcntl.F_SETFL, fcntl.fcntl(far_end, fcntl.F_GETFL) | os.O_ASYNC)


def import_path() -> tuple[str, ...]:
    """The import path of this process, with absolute entries."""
    return tuple(os.path.abspath(entry) for entry in sys.path)
