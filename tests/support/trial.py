"""An experiment of many small cells, for runs that tests disturb, and the command line with it as the catalogue."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import resource
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from conditions import Conditions

from normscope.protocol import FixedExperiment, Judgement, Rows, Scale, cell, claim, select

CELLS = 40
ROWS = 6
COMPACT_AT = 8
ID = "trial.numbers"


@dataclasses.dataclass(frozen=True)
class Number:
    """A number to count from, and a fault of the cell (see :func:`_go_wrong`)."""

    start: int
    fault: str = ""


@dataclasses.dataclass(frozen=True)
class TrialProfile:
    """The number of cells, and the faults of the first of them."""

    cells: int
    faults: tuple[str, ...] = ()

    def describe(self):
        return {"cells": str(self.cells)}


@cell(name="trial.count_from", version=1)
def count_from(config: Number):
    """A few rows that depend on the configuration only. The cell writes its start to the file ``TRIAL_TRACES``.

    With ``TRIAL_TALKS`` it prints what not every stream can show, and warns.
    """
    if os.environ.get("TRIAL_TALKS"):
        print("\u2713")
        warnings.warn("a cell's own warning", stacklevel=1)
    if traces := os.environ.get("TRIAL_TRACES"):
        with Path(traces).open("a") as file:
            file.write(f"{config.start}\n")
    _go_wrong(config.fault)
    time.sleep(float(os.environ.get("TRIAL_SECONDS", "0.01")))
    rows = Rows()
    for index in range(ROWS):
        rows.add("root", math.sqrt(config.start + index), index=index, layer=f"layer{index % 2}")
    rows.add("root", float("inf"))
    return rows.table()


def _go_wrong(fault: str) -> None:
    if fault.endswith("exit"):
        time.sleep(0.5 if fault.startswith("slow") else 0)
        print("words\n" * 50_000 + "last words")  # more than a pipe holds
        os._exit(3)
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hang":
        time.sleep(3600)
    if fault in ("lock", "orphans"):
        _start_children()
    if fault == "lock":
        (10**7) ** (10**7)  # keeps the interpreter's lock for minutes
    if fault == "orphans":
        os._exit(4)
    if fault == "memory":
        bytearray(2**50)


def _start_children() -> None:
    """A copy of this process, which has all of its pipes, and a program of its own."""
    copy = os.fork()
    if copy == 0:
        time.sleep(3600)
    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    Path(os.environ["TRIAL_TRACES"]).with_name("children").write_text(f"{copy} {program.pid}")


@claim("sorted", "Roots grow: √n < √(n + 1).", "school", "the root of the last is above that of the first")
def grows(table):
    """Compares the first and the last number's root."""
    first, last = (select(table, start=start, index=0)["value"].item() for start in (CELLS - 2, CELLS - 1))
    return Judgement({"first": first, "last": last}, last > first, 1)


def _cells(profile):
    faults = (*profile.faults, *[""] * profile.cells)
    return [count_from.cell(Number(start, faults[start])) for start in range(profile.cells)]


def _draw(table):
    from matplotlib.figure import Figure

    figure = Figure()
    first = select(table, index=0)
    figure.subplots().plot(first["start"], first["value"])
    return figure


def experiment(*faults: str):
    """The experiment; its first cells have these faults."""
    return FixedExperiment(
        id=ID, caption="Roots.", profiles={scale: TrialProfile(CELLS, faults) for scale in Scale},
        list_cells=_cells, rules=[grows], draw=_draw, question="Do roots grow?", method="They are taken.",
    )  # fmt: skip


EXPERIMENT = experiment()


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: str,
    largest_file: int | None,
    conditions: Conditions | None = None,
) -> None:
    """``normscope`` with this experiment as the catalogue and a store that compacts at eight files; ends the process.

    Args:
        arguments: of the command line.
        environment: variables to set.
        folder: where ``stdout`` and ``stderr`` go.
        largest_file: bytes that no file may exceed.
        conditions: what the command meets when it begins.
    """
    global EXPERIMENT
    from normscope import cli
    from normscope.papers import catalogue
    from normscope.papers.entry import Entry
    from normscope.papers.sources import Paper
    from normscope.results import folder as results_folder
    from normscope.store import Store

    for stream, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT), stream)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
    os.environ.update(environment)
    EXPERIMENT = experiment(*filter(None, environment.get("TRIAL_FAULTS", "").split(",")))
    paper = Paper("trial", "A. Nobody", "Nobody", 2020, "Roots", "a school", "Roots grow.")
    catalogue.ENTRIES = (Entry(ID, "roots of numbers", paper, "Fig. 1", module="trial"),)
    results_folder.Store = functools.partial(Store, compact_at=COMPACT_AT)
    if conditions is not None:
        conditions.apply()
    sys.argv[1:] = arguments
    cli.main(None)  # The process belongs to the command, as a user's does.
