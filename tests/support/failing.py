"""Starts commands in processes whose calls of the system a preload library fails or records."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

SOURCES = Path(__file__).with_name("preload")
LONGEST_SECONDS = 90.0
LARGE = 2**16
"""Bytes of the least allocation that is failed: smaller ones end libraries of C++ at once."""
_FOLDERS = 2


@functools.cache
def library(name: str) -> Path:
    """``preload/<name>.c`` as a library, built once a process; the test is skipped where it cannot be built."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    kind, version = platform.libc_ver()
    if compiler is None:
        pytest.skip("failing calls of the system takes a C compiler")
    if kind != "glibc" or tuple(map(int, version.split("."))) < (2, 33):
        pytest.skip(
            f"failing calls of the system takes glibc 2.33 or newer, not {kind or 'another C library'} {version}"
        )
    target = Path(tempfile.mkdtemp(prefix="normscope-preload-")) / f"lib{name}.so"
    flags = ["-shared", "-fPIC", "-O1", "-w"]
    built = subprocess.run(
        [compiler, *flags, "-o", str(target), str(SOURCES / f"{name}.c"), "-ldl"],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return target


@dataclasses.dataclass(frozen=True)
class Orders:
    """What the library fails, as ``preload/failing.c`` reads it.

    Attributes:
        folders: the files of these folders are meant, two at most.
        kind: the kind of call; ``"count"`` fails none and logs all.
        nth: which call of the kind fails.
        error: its errno.
        forever: whether all later calls of the kind fail as well.
        size: the least bytes of an allocation that counts.
        log: the file to which the failed calls are written.
    """

    folders: Sequence[Path]
    log: Path
    kind: str = "count"
    nth: int = 0
    error: int = 0
    forever: bool = False
    size: int = LARGE

    def __str__(self) -> str:
        folders = [*map(str, self.folders), ""][:_FOLDERS]
        numbers = (self.nth, self.error, int(self.forever), self.size)
        return "|".join([*folders, self.kind, *map(str, numbers), str(self.log)])


@dataclasses.dataclass(frozen=True)
class Call:
    """A line of the library's log."""

    process: int
    kind: str
    number: int
    error: int
    path: str


def calls(log: Path) -> list[Call]:
    """The lines of a log; none when nothing was logged."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    found = []
    for line in lines:
        process, kind, number, error, path = line.split(" ", 4)
        found.append(Call(int(process), kind, int(number), int(error), path))
    return found


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended; ``status`` is ``None`` when it was stopped because it took too long."""

    process: int
    status: int | None
    stdout: str
    stderr: str


class Server:
    """Runs commands, one after another, in forks of a process with a preload library.

    Args:
        name: the library's.
    """

    def __init__(self, name: str) -> None:
        path = os.pathsep.join([str(SOURCES.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, str(SOURCES / "server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "LD_PRELOAD": str(library(name)), "PYTHONPATH": path},
        )

    def run(
        self,
        words: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        orders: str | None = None,
        recording: str | None = None,
        memory: int | None = None,
        entries: str | None = None,
        imports: Sequence[str] = (),
    ) -> Ended:
        """Run ``normscope`` and wait for its end.

        Args:
            words: the command line, or ``observe`` and a results folder: the trial experiment, with a mark in the
                record for every cell that is reported as finished.
            environment: variables to set; ``FAILING`` gives the workers their orders.
            orders: the driver's.
            recording: the driver's folder and log for ``preload/recording.c``.
            memory: bytes by which the address space may grow.
            entries: the module whose ``ENTRY`` is the catalogue; by default the trial experiment is.
            imports: modules that the server imports first.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory(prefix="normscope-failing-") as scratch:
            request = {
                "words": list(words), "environment": {"TRIAL_TRACES": f"{scratch}/traces", **(environment or {})},
                "scratch": scratch, "orders": orders, "recording": recording, "memory": memory, "entries": entries,
                "imports": list(imports), "seconds": LONGEST_SECONDS,
            }  # fmt: skip
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
            texts = [Path(scratch, name).read_text(errors="replace") for name in ("stdout", "stderr")]
        return Ended(answer["process"], answer["status"], *texts)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextlib.contextmanager
def server(name: str) -> Iterator[Server]:
    """A server that ends with the block."""
    started = Server(name)
    try:
        yield started
    finally:
        started.close()
