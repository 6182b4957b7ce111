"""What the command line shows besides a sweep's progress: downloads, plans, scorecards."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
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
    """A callback for downloads: a bar on a terminal, one line a file in a pipe."""
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
    """List every cell of a plan, then the estimate."""
    from normscope import data

    screen = console()
    for state, cells in (("found", plan.reused), ("new", plan.new)):
        for cell in cells.values():
            screen.print(f"{state:5}  {cell.describe()}", markup=False, soft_wrap=True)
    for name in sorted({name for cell in plan.new.values() for name in cell.data}):
        at_hand, where = data.available(name)
        if not at_hand:
            screen.print(f"{name} is {where}", markup=False, soft_wrap=True)
    screen.print(plan_sentence(plan))


def show_scorecard(results: Sequence[Result]) -> None:
    """The claims with their verdicts and measured numbers, then what failed."""
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
        for error, count in Counter(result.failures.values()).items():
            screen.print(f"{result.id}: {counted(count, 'cell')} failed: {error}", markup=False)


def show_places(out: Path) -> None:
    """Where the results stand."""
    screen = console()
    for name in ("scorecard.json", "report.html"):
        screen.print(str(out / name), markup=False, soft_wrap=True)
