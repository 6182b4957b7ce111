"""Runs commands in forks of a process that has a preload library and the libraries of Python loaded.

It reads one request a line as JSON from its standard input, and answers with one line when the command has ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import io
import json
import multiprocessing
import os
import resource
import sys
from pathlib import Path
from typing import Any

_FORKS = multiprocessing.get_context("fork")
_LIBRARIES = (
    "pandas", "pyarrow.parquet", "matplotlib.figure", "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg", "normscope.cli", "rich.progress", "jinja2", "trial",
)  # fmt: skip


def main() -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    os.environ.pop("FAILING", None)
    _import(_LIBRARIES)
    _parse_once()
    for line in sys.stdin:
        request = json.loads(line)
        _import(request["imports"])
        process = _FORKS.Process(target=_run, kwargs=request)
        process.start()
        process.join(request["seconds"])
        answer = {"process": process.pid, "status": process.exitcode}
        process.kill()
        process.join()
        answers.write(json.dumps(answer) + "\n")


def _parse_once() -> None:
    """Load what the parser of the command line loads when it is used first."""
    from normscope import cli

    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        cli.main(["report", "--help"])


def _import(names: list[str] | tuple[str, ...]) -> None:
    for name in names:
        importlib.import_module(name)


def _run(
    words: list[str],
    environment: dict[str, str],
    scratch: str,
    orders: str | None,
    recording: str | None,
    memory: int | None,
    entries: str | None,
    **_: Any,
) -> None:
    """Run a command; see :meth:`failing.Server.run` for the arguments."""
    import trial

    from normscope import cli
    from normscope.papers import catalogue

    command = cli.main

    def start(arguments: list[str] | None) -> None:
        if entries is not None:
            catalogue.ENTRIES = (importlib.import_module(entries).ENTRY,)
        if orders is not None:
            ctypes.CDLL(None).arm(orders.encode())
        if recording is not None:
            ctypes.CDLL(None).record(recording.encode())
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, (_address_space() + memory, resource.RLIM_INFINITY))
        if words[0] == "observe":
            _observe(Path(words[1]))
        else:
            command(arguments)

    cli.main = start
    trial.run(words, environment, scratch, None)


def _observe(out: Path) -> None:
    """Run the trial experiment and mark in the record every cell that is reported as finished."""
    import trial

    from normscope.options import RunOptions
    from normscope.papers import catalogue
    from normscope.protocol import Cell, Scale
    from normscope.reproduction import Reproduction
    from normscope.results import ResultsFolder
    from normscope.runner import Observer

    class Marking(Observer):
        def finished(self, cell: Cell, seconds: float) -> None:
            ctypes.CDLL(None).mark(cell.key(str).encode())

    options = RunOptions(ResultsFolder(out), Scale.QUICK, 2)
    Reproduction(catalogue.load([trial.ID]), options).run(Marking())


def _address_space() -> int:
    """Bytes of this process's address space."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
