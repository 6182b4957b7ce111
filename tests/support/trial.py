"""An experiment of many small cells, for runs that are to be disturbed, and the command line that knows it.

``python trial.py reproduce trial.numbers --out DIR`` is ``normscope reproduce`` with this experiment as the catalogue
and a store that compacts at eight files.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import signal
import time
from pathlib import Path

from normscope.protocol import FixedExperiment, Judgement, Rows, Scale, cell, claim, select

CELLS = 40
ROWS = 6
COMPACT_AT = 8
ID = "trial.numbers"


@dataclasses.dataclass(frozen=True)
class Number:
    """A number to count from, and what goes wrong."""

    start: int
    fault: str = ""


@dataclasses.dataclass(frozen=True)
class TrialProfile:
    """How many cells, and the faults that the first of them have."""

    cells: int
    faults: tuple[str, ...] = ()

    def describe(self):
        return {"cells": str(self.cells)}


@cell(version=1)
def count_from(config: Number):
    """A few rows that only the configuration decides; the file ``TRIAL_TRACES`` tells which cells were begun."""
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
    if fault == "exit":
        os._exit(3)
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hang":
        time.sleep(3600)
    if fault == "memory":
        bytearray(2**50)


@claim("sorted", "Roots grow.", "school", "the root of the last is above that of the first")
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
    """The experiment; so many of its first cells have faults."""
    return FixedExperiment(
        id=ID, caption="Roots.", profiles={scale: TrialProfile(CELLS, faults) for scale in Scale},
        list_cells=_cells, rules=[grows], draw=_draw, question="Do roots grow?", method="They are taken.",
    )  # fmt: skip


EXPERIMENT = experiment(*filter(None, os.environ.get("TRIAL_FAULTS", "").split(",")))


def main() -> None:
    """The command line, with this experiment as the whole catalogue."""
    from normscope import cli, reproduction
    from normscope.papers import catalogue
    from normscope.sweep import Store

    entry = catalogue.Entry(ID, "trial", "roots of numbers", "trial", "Fig. 1")
    catalogue.ENTRIES = (entry,)
    reproduction.Store = functools.partial(Store, compact_at=COMPACT_AT)
    cli.main()


if __name__ == "__main__":
    main()
