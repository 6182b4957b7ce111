"""What the command line prints besides the progress of a run and the scorecard: downloads, plans, failures, paths."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from normscope.progress import console, counted, duration, plan_sentence

if TYPE_CHECKING:
    from normscope.reproduction import ReproductionPlan
    from normscope.runner import Plan


@contextlib.contextmanager
def download() -> Iterator[Callable[[str, int, int], None]]:
    """A callback that shows downloads: a bar on a terminal, one line per file in a pipe.

    Yields:
        A function of the file's name, the bytes done and the bytes in all.
    """
    screen = console(stderr=True)
    tasks: dict[str, TaskID] = {}
    bars = Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(),
        console=screen, disable=not screen.is_terminal,
    )  # fmt: skip

    def show(name: str, done: int, total: int) -> None:
        if name not in tasks:
            tasks[name] = bars.add_task(name, total=total)
            if bars.disable:
                screen.print(f"downloading {name}, {total / 1e6:.1f} MB")
        bars.update(tasks[name], completed=done)

    with bars:
        yield show


def show_plan(plan: ReproductionPlan, *, verbose: bool = False) -> None:
    """Print each experiment's number of cells and their time, the data sets that are missing, and the estimate.

    Args:
        plan: the plan.
        verbose: first print every cell, too.
    """
    from normscope import data

    def say(words: str) -> None:
        screen.print(words, markup=False, soft_wrap=not screen.is_terminal)

    screen = console()
    if verbose:
        for state, cells in (("found", plan.reused), ("new", plan.new)):
            for cell in cells.values():
                say(f"{state:5}  {cell.describe()}")
    _show_parts(plan.parts)
    asked = sum(len(part.reused) + len(part.new) for part in plan.parts.values())
    if repeated := asked - len(plan.reused) - len(plan.new):
        say(f"Experiments share cells: the lines above count {repeated:,} of them again.")
    for name in sorted({name for cell in plan.new.values() for name in cell.data}):
        is_here, where = data.available(name)
        if not is_here:
            say(f"{name} is {where}")
    say(plan_sentence(plan))


def _show_parts(parts: Mapping[str, Plan]) -> None:
    table = Table.grid(padding=(0, 3))
    table.add_column(no_wrap=True)
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True)
    for name, part in parts.items():
        time = f"about {duration(max(1.0, part.estimate.seconds))}" if part.new else ""
        table.add_row(Text(name), f"{len(part.reused):,} found", f"{len(part.new):,} new", time)
    console().print(table)


def show_failures(failures: Mapping[str, str]) -> None:
    """Print every error with the number of cells that it stopped."""
    for error, count in Counter(failures.values()).items():
        console().print(f"{counted(count, 'cell')} failed: {error}", markup=False)


def show_absent(absent: Mapping[str, str]) -> None:
    """Print the experiments that the page lacks, each with the reason."""
    if absent:
        named = ", ".join(f"{id} ({why})" for id, why in absent.items())
        console().print(f"not on the page: {named}", markup=False)


def show_paths(*paths: Path) -> None:
    """Print the paths of files, one per line."""
    screen = console()
    for path in paths:
        screen.print(str(path), markup=False, soft_wrap=True)
