"""What the command line prints besides the progress of a run: downloads, plans, scorecards, paths."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from normscope.progress import console, counted, plan_sentence
from normscope.report.scorecard import measured_numbers

if TYPE_CHECKING:
    from normscope.protocol import Result
    from normscope.runner import Plan

_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "yellow")}


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


def show_plan(plan: Plan) -> None:
    """Print every cell of a plan, the data sets that are missing, and the estimate."""
    from normscope import data

    screen = console()
    for state, cells in (("found", plan.reused), ("new", plan.new)):
        for cell in cells.values():
            screen.print(f"{state:5}  {cell.describe()}", markup=False, soft_wrap=True)
    for name in sorted({name for cell in plan.new.values() for name in cell.data}):
        is_here, where = data.available(name)
        if not is_here:
            screen.print(f"{name} is {where}", markup=False, soft_wrap=True)
    screen.print(plan_sentence(plan))


def show_scorecard(results: Sequence[Result]) -> None:
    """Print the claims with their verdicts and measured numbers, then notes and failures."""
    screen = console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("claim", ratio=3)
    table.add_column("verdict", no_wrap=True)
    table.add_column("measured", ratio=4)
    for result in results:
        for claim in result.claims:
            mark, color = _MARKS[claim.holds]
            numbers = ", ".join(f"{name} {value}" for name, value in measured_numbers(claim.measured))
            table.add_row(
                Text(f"{result.id} {claim.id}"),
                Text(f"{mark} {claim.verdict}", style=color),
                Text("; ".join(filter(None, (numbers, claim.reason)))),
            )
    screen.print(table)
    for result in results:
        for note in result.notes:
            screen.print(f"{result.id}: {note}", markup=False)
        show_failures(result.failures, f"{result.id}: ")


def show_failures(failures: Mapping[str, str], prefix: str = "") -> None:
    """Print every error with the number of cells that it stopped."""
    for error, count in Counter(failures.values()).items():
        console().print(f"{prefix}{counted(count, 'cell')} failed: {error}", markup=False)


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
