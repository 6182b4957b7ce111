"""Starting runs of the trial experiment as a user would, and killing them at a moment of one's choice."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import trial

from normscope.store import Store

KINDS = ("driver", "worker", "everyone", "compaction", "report")
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["pytest", "pandas", "pyarrow.parquet", "matplotlib.figure", "matplotlib.backends.backend_agg",
     "matplotlib.backends.backend_svg", "normscope.cli", "rich.progress", "jinja2"]
)  # fmt: skip
_PATIENCE = 120.0
_EARLY = 0.2


@dataclasses.dataclass(frozen=True)
class Death:
    """What was killed, and what it was at, going by what it left behind."""

    kind: str
    moment: str


class Run:
    """A command in a process of its own, by default a run of the trial experiment.

    The process is a fork of one that has nothing but imported the libraries: that is two thirds of a short run's time.

    Args:
        out: the results folder.
        arguments: for the command line.
        command: the words before them.
        largest_file: bytes that no file may exceed.
        environment: variables for the new process.
    """

    def __init__(
        self,
        out: Path,
        *arguments: str,
        command: Sequence[str] = ("reproduce", trial.ID, "--workers", "2", "--out"),
        largest_file: int | None = None,
        **environment: str,
    ) -> None:
        self.out = out
        self._scratch = tempfile.TemporaryDirectory(prefix="normscope-trial-")
        self._folder = Path(self._scratch.name)
        self._traces = self._folder / "traces"
        words = [*command, str(out), *arguments]
        variables = {"TRIAL_TRACES": str(self._traces), **environment}
        self._process = _FORKS.Process(
            target=trial.run, args=(words, variables, self._scratch.name, largest_file)
        )
        self._process.start()

    def end(self) -> subprocess.CompletedProcess[str]:
        """Wait for it."""
        self._process.join(_PATIENCE)
        stdout, stderr = ((self._folder / name).read_text() for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess("normscope", self._process.exitcode, stdout, stderr)

    def begun(self) -> list[int]:
        """The cells that were begun, in order."""
        return [int(line) for line in self._traces.read_text().split()] if self._traces.exists() else []

    def workers(self) -> list[int]:
        """Its worker processes."""
        children = []
        with contextlib.suppress(FileNotFoundError):
            for task in Path(f"/proc/{self._process.pid}/task").iterdir():
                children += [int(child) for child in (task / "children").read_text().split()]
        return [child for child in children if b"normscope.runner.worker" in _command(child)]

    def kill(self, kind: str, duration: float, dice: random.Random) -> Death:
        """Kill it at a random moment.

        Args:
            kind: of :data:`KINDS`: who dies, or what the driver dies of.
            duration: how long an undisturbed run takes.
            dice: decides the moment.
        """
        if kind == "compaction":
            wanted = dice.randint(1, 2)  # of five at most; a slow compaction takes more files at once
            self._wait(lambda: len(self._seen("cells", "segment-*.parquet", ".segment-*.tmp")) >= wanted)
            time.sleep(dice.uniform(0, 0.02))
        elif kind == "report":
            self._wait(lambda: bool(self._seen(trial.ID, "data.parquet", ".data.parquet.*.tmp")))
            time.sleep(dice.uniform(0, 0.3))
        elif kind != "worker" and dice.random() < _EARLY:
            time.sleep(dice.uniform(0, duration / 2))
        else:
            wanted = dice.randint(1, trial.CELLS)
            self._wait(lambda: len(self.begun()) >= wanted)
            time.sleep(dice.uniform(0, 0.02))
        workers = self.workers()
        if kind == "worker":
            doomed = dice.sample(workers, min(1, len(workers)))
        else:
            doomed = [*(workers if kind == "everyone" else []), self._process.pid]
        ended = self._process.exitcode is not None
        for process in doomed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if kind == "worker":
            return Death(kind, self._moment(ended or not doomed))
        self._process.join()
        _wait_until(lambda: not any(map(_alive, workers)))  # a driver's orphans finish their cells
        return Death(kind, self._moment(ended))

    def _seen(self, folder: str, *patterns: str) -> set[str]:
        return {path.name for pattern in patterns for path in (self.out / folder).glob(pattern)}

    def _wait(self, condition: Callable[[], bool]) -> None:
        _wait_until(lambda: condition() or self._process.exitcode is not None)

    def _moment(self, ended: bool) -> str:
        cells, reports = self.out / "cells", self.out / trial.ID
        store = Store(cells)
        if ended:
            return "after the end"
        if any(cells.glob(".segment-*.tmp")):
            return "writing a segment"
        if store.single_files() & store.segments.cells().keys():
            return "removing what is in a segment"
        if (reports / "data.parquet").exists() or any(reports.glob(".data.parquet.*")):
            return "writing the report"
        return "running cells" if store.keys() else "before the first cell"


def results_of(out: Path) -> dict[str, bytes]:
    """What a finished run leaves for people, by name."""
    names = (f"{trial.ID}/{name}" for name in ("data.parquet", "figure.svg", "figure.png"))
    return {name: (out / name).read_bytes() for name in ("scorecard.json", "report.html", *names)}


def files_of(out: Path) -> Iterator[Path]:
    """What a run has written under final names."""
    yield from (path for path in out.rglob("*") if path.is_file() and not path.name.startswith("."))


def _command(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def _wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.0003)


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
