"""What the command line shows: progress, plans, scorecards. A terminal gets bars, a pipe plain lines."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from normscope.sweep.observer import Observer, SilentObserver

if TYPE_CHECKING:
    from normscope.protocol import Cell, Result
    from normscope.sweep import Plan

_LINE_SECONDS = 5.0
_ENOUGH_DONE = 0.1
_PIPE_COLUMNS = 160
_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "yellow")}


def console(*, stderr: bool = False) -> Console:
    """Where to print; a pipe gets lines of a fixed width rather than 80 columns."""
    found = Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=_PIPE_COLUMNS)


@contextlib.contextmanager
def progress() -> Iterator[Observer]:
    """An observer that shows a sweep's progress on the standard error."""
    screen = console(stderr=True)
    if not screen.is_terminal:
        yield LineObserver(screen)
        return
    bars = Progress(
        TextColumn("cells"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[last]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
        console=screen, transient=True, expand=True,
    )  # fmt: skip
    with bars:
        yield BarObserver(bars)


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


class TimeLeft:
    """How long a plan's new cells still take: its estimate at first, then going by the cells that are done.

    Until a tenth of the work is done the workers' start-up would pass for slow cells.
    """

    def __init__(self, plan: Plan) -> None:
        self._started = time.monotonic()
        self._estimate = plan.estimate.seconds
        self._work = sum(cell.cost for cell in plan.new.values())
        self._done = 0.0

    def after(self, cell: Cell) -> str:
        """Count a cell and say what is left."""
        self._done += cell.cost
        passed = time.monotonic() - self._started
        share = self._done / self._work
        left = passed * (1 / share - 1) if share >= _ENOUGH_DONE else max(0.0, self._estimate - passed)
        return f"about {duration(left)} left"


class LineObserver(SilentObserver):
    """Prints a line every few seconds: for pipes and logs."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen
        self._done = self._total = 0
        self._last = time.monotonic()
        self._left: TimeLeft | None = None

    def planned(self, plan: Plan) -> None:
        """Say what is found, what is new, and about how long it takes."""
        self._screen.print(plan_sentence(plan))
        self._done, self._total = 0, len(plan.new)
        self._last, self._left = time.monotonic(), TimeLeft(plan)

    def finished(self, cell: Cell, seconds: float) -> None:
        """Count the cell."""
        self._count(cell)

    def retried(self, cell: Cell, error: str) -> None:
        """Say so at once."""
        self._screen.print(f"trying again {cell.describe()}: {error}", markup=False)

    def failed(self, cell: Cell, error: str) -> None:
        """Say so at once, and count the cell."""
        self._screen.print(f"failed {cell.describe()}: {error}", markup=False)
        self._count(cell)

    def _count(self, cell: Cell) -> None:
        self._done += 1
        left = self._left.after(cell) if self._left is not None else ""
        now = time.monotonic()
        if now - self._last >= _LINE_SECONDS or self._done == self._total:
            self._last = now
            self._screen.print(f"{self._done} of {self._total} cells done, {left}")


class BarObserver(SilentObserver):
    """Keeps a progress bar: for terminals."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task: TaskID | None = None
        self._left: TimeLeft | None = None

    def planned(self, plan: Plan) -> None:
        """Say what is found and new, and start the bar of this round."""
        self._left = TimeLeft(plan)
        self._bars.console.print(plan_sentence(plan))
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task("cells", total=len(plan.new), last="", left="")

    def finished(self, cell: Cell, seconds: float) -> None:
        """Move the bar."""
        self._advance(cell, f"{seconds:.1f} s for {cell.describe()}")

    def retried(self, cell: Cell, error: str) -> None:
        """Say so above the bar."""
        self._bars.console.print(f"trying again {cell.describe()}: {error}", markup=False)

    def failed(self, cell: Cell, error: str) -> None:
        """Say so above the bar, and move it."""
        self._bars.console.print(f"failed {cell.describe()}: {error}", markup=False, style="red")
        self._advance(cell, "")

    def _advance(self, cell: Cell, last: str) -> None:
        if self._task is not None and self._left is not None:
            self._bars.update(self._task, advance=1, last=last, left=self._left.after(cell))


def plan_sentence(plan: Plan) -> str:
    """A plan in a sentence: how many cells are found and new, and what the new ones take."""
    estimate = plan.estimate
    found = f"{len(plan.reused)} cells found"
    if plan.set_aside:
        found += f" ({counted(plan.set_aside, 'damaged file')} set aside in cells/_unreadable)"
    if not plan.new:
        return f"{found}, none to run."
    basis = "going by the finished ones" if estimate.measured else "a rough guess before the first run here"
    return (
        f"{found}, {len(plan.new)} to run: about {duration(estimate.seconds)} "
        f"on {plan.workers} worker{'s' if plan.workers != 1 else ''}, "
        f"{estimate.bytes / 1e6:.1f} MB of disk ({basis})."
    )


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
            numbers = ", ".join(f"{name} {value:.4g}" for name, value in claim.measured.items())
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
            screen.print(
                f"{result.id}: {count} cell{'s' if count != 1 else ''} failed: {error}", markup=False
            )


def show_places(out: Path) -> None:
    """Where the results stand."""
    screen = console()
    for name in ("scorecard.json", "report.html"):
        screen.print(str(out / name), markup=False, soft_wrap=True)


def counted(count: int, thing: str) -> str:
    """A number of things in words, such as ``"1 cell"`` or ``"2 cells"``."""
    return f"{count:,} {thing}{'s' if count != 1 else ''}"


def duration(seconds: float) -> str:
    """A length of time in words: seconds, minutes or hours."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
