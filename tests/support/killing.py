"""Starts runs of the trial experiment as a user would, and kills them at a chosen moment."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import multiprocessing
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import processes
import trial
from conditions import Conditions

from normscope.store import Store

KINDS = ("driver", "worker", "everyone", "compaction", "report")
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["pytest", "pandas", "pyarrow.parquet", "matplotlib.figure", "matplotlib.backends.backend_agg",
     "matplotlib.backends.backend_svg", "normscope.cli.commands", "rich.progress", "jinja2"]
)  # fmt: skip
_LONGEST_SECONDS = 120.0
_EARLY = 0.2
# A moment may last less than a millisecond.
_wait_until = functools.partial(processes.wait_until, seconds=_LONGEST_SECONDS, every=0.0003)


@dataclasses.dataclass(frozen=True)
class Death:
    """What was killed, and what the run was doing, judged by the files it left."""

    kind: str
    moment: str


class Run:
    """A command in a process of its own, by default a run of the trial experiment.

    The process is a fork of one that has only imported the libraries, since importing is two thirds of a short run.

    Args:
        out: the results folder.
        arguments: the command line after the folder.
        command: the command line before the folder.
        largest_file: bytes that no file may exceed.
        conditions: what the command meets when it begins.
        environment: variables for the new process.
    """

    def __init__(
        self,
        out: Path,
        *arguments: str,
        command: Sequence[str] = ("reproduce", trial.ID, "--workers", "2", "--out"),
        largest_file: int | None = None,
        conditions: Conditions | None = None,
        **environment: str,
    ) -> None:
        self.out = out
        self._scratch = tempfile.TemporaryDirectory(prefix="normscope-trial-")
        self._folder = Path(self._scratch.name)
        self._traces = self._folder / "traces"
        words = [*command, str(out), *arguments]
        variables = {"TRIAL_TRACES": str(self._traces), **environment}
        self._process = _FORKS.Process(
            target=trial.run, args=(words, variables, self._scratch.name, largest_file, conditions)
        )
        self._process.start()

    def end(self) -> subprocess.CompletedProcess[str]:
        """Wait for the process to end."""
        self._process.join(_LONGEST_SECONDS)
        stdout, stderr = ((self._folder / name).read_text(errors="replace") for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess("normscope", self._process.exitcode, stdout, stderr)

    def begun(self) -> list[int]:
        """The starts of the cells that were begun, in order."""
        return [int(line) for line in self._traces.read_text().split()] if self._traces.exists() else []

    def running(self) -> bool:
        """Whether the process runs."""
        return self._process.exitcode is None

    def signal(self, *numbers: int) -> bool:
        """Send the process signals, once the command handles them; false when the process has ended."""
        self._wait(lambda: processes.catches(self._process.pid, signal.SIGTERM))
        if self.running():
            for number in numbers:
                os.kill(self._process.pid, number)
            return True
        return False

    def cells_children(self) -> list[int]:
        """The processes that a cell with the fault ``lock`` or ``orphans`` has started."""
        path = self._folder / "children"
        return [int(word) for word in path.read_text().split()] if path.exists() else []

    def workers(self) -> list[int]:
        """Its worker processes."""
        started = processes.children(self._process.pid)
        return [process for process in started if "normscope.runner.worker" in processes.command(process)]

    def kill(self, kind: str, duration: float, dice: random.Random) -> Death:
        """Kill the run at a random moment.

        Args:
            kind: one of :data:`KINDS`: which processes are killed, or at what work the driver is killed.
            duration: how long an undisturbed run takes.
            dice: decides the moment.
        """
        if kind == "compaction":
            wanted = dice.randint(1, 2)  # of five at most; a slow compaction gathers more files at once
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
        # The workers of a killed driver finish their cells.
        _wait_until(lambda: not any(map(processes.alive, workers)))
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
    """The files that a finished run writes for its user, by name."""
    names = (f"{trial.ID}/{name}" for name in ("data.parquet", "figure.svg", "figure.png"))
    return {name: (out / name).read_bytes() for name in ("scorecard.json", "report.html", *names)}


def files_of(out: Path) -> Iterator[Path]:
    """The files that a run has written under their final names."""
    yield from (path for path in out.rglob("*") if path.is_file() and not path.name.startswith("."))
