"""Hard conditions for a run: streams that are closed, full or without a reader, signals ignored, tight limits."""

from __future__ import annotations

import dataclasses
import errno
import os
import resource
import signal
import subprocess
import sys
import threading

CLOSED, NO_READER = "closed", "no reader"


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What a process meets when its command begins.

    Attributes:
        stdin, stdout, stderr: a path to open as that stream, :data:`CLOSED` or :data:`NO_READER`; empty: as it is.
        encoding: of the standard output and the standard error.
        ignored: the names of the signals that are ignored.
        files: the number of files that may be open; ``None``: as it is.
        threads: the number of threads that can be started; ``None``: as many as the system allows.
        processes: the number of processes that can be started.
    """

    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    encoding: str = ""
    ignored: tuple[str, ...] = ()
    files: int | None = None
    threads: int | None = None
    processes: int | None = None

    def apply(self) -> None:
        """Bring them about in this process."""
        for number, stream in enumerate((self.stdin, self.stdout, self.stderr)):
            if stream:
                _open_as(number, stream)
        for stream in (sys.stdout, sys.stderr):
            if self.encoding and stream is not None:
                stream.reconfigure(encoding=self.encoding, errors="strict")
        for name in self.ignored:
            signal.signal(signal.Signals[name], signal.SIG_IGN)
        if self.files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.files, self.files))
        # The system's own limit does not hold for root, so it is the calls that fail.
        if self.threads is not None:
            refusal = RuntimeError("can't start new thread")
            threading._start_new_thread = _refused_after(self.threads, threading._start_new_thread, refusal)
        if self.processes is not None:
            refusal = BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            subprocess._fork_exec = _refused_after(self.processes, subprocess._fork_exec, refusal)


def _refused_after(count, call, refusal):
    """The call as long as it has not been made so often; then it raises the refusal."""
    left = iter(range(count))

    def limited(*arguments, **options):
        if next(left, None) is None:
            raise refusal
        return call(*arguments, **options)

    return limited


def _open_as(number: int, stream: str) -> None:
    if stream == CLOSED:
        os.close(number)
        # Python sets a stream to None that is closed when it starts.
        setattr(sys, ("stdin", "stdout", "stderr")[number], None)
        return
    if stream == NO_READER:
        reader, descriptor = os.pipe()
        os.close(reader)
    else:
        descriptor = os.open(stream, os.O_WRONLY if number else os.O_RDONLY)
    os.dup2(descriptor, number)
    os.close(descriptor)
