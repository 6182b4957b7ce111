"""What the command line prints besides the progress of a run and the scorecard: downloads, plans, failures, paths."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from normscope.progress import console, counted, duration, plan_sentence

if TYPE_CHECKING:
    from normscope.reproduction import ReproductionPlan
    from normscope.runner import Plan


_NARROW_COLUMNS, _PIPE_COLUMNS = 60, 200


def show_table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> None:
    """Print rows as a table, or each row as lines below each other on a terminal too narrow for the table.

    In a pipe a table has 200 columns.

    Args:
        head: the names of the columns.
        rows: the cells' texts.
        numbers: whether the columns after the first hold numbers.
    """
    rows = [*rows]
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(head))
    for number, name in enumerate(head):
        table.add_column(
            name, justify="right" if numbers and number else "left", no_wrap=numbers or not number
        )
    for row in rows:
        table.add_row(*map(Text, row))
    screen = console()
    wide = console(width=_PIPE_COLUMNS)
    if not screen.is_terminal:
        wide.print(table)
    elif wide.measure(table).maximum <= screen.width or (screen.width >= _NARROW_COLUMNS and not numbers):
        screen.print(table)
    else:
        for first, *others in rows:
            screen.print(Text(first), overflow="fold")
            for name, words in zip(head[1:], others, strict=True):
                if words:
                    screen.print(Padding(Text(f"{name}: {words}" if name else words), (0, 0, 0, 2)))


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
            say(f"{name} is {where}" if where.startswith("not here") else f"{name}: {where}")
    say(plan_sentence(plan))


def _show_parts(parts: Mapping[str, Plan]) -> None:
    rows = []
    for name, part in parts.items():
        time = f"about {duration(max(1.0, part.estimate.seconds))}" if part.new else ""
        rows.append((name, f"{len(part.reused):,} found", f"{len(part.new):,} new", time))
    show_table(("", "", "", ""), rows, numbers=True)


def show_failures(failures: Mapping[str, str]) -> None:
    """Print every error with the number of cells that it stopped."""
    for error, count in Counter(failures.values()).items():
        console().print(f"{counted(count, 'cell')} failed: {error}", markup=False)


def show_absent(absent: Mapping[str, str]) -> None:
    """Print the experiments that the page lacks, a paragraph for each reason."""
    names = defaultdict[str, list[str]](list)
    for id, why in absent.items():
        names[why].append(id)
    for why, ids in names.items():
        console().print(f"not on the page: {', '.join(ids)} ({why})", markup=False)


def show_paths(*paths: Path) -> None:
    """Print the paths of files, one per line."""
    screen = console()
    for path in paths:
        screen.print(str(path), markup=False, soft_wrap=True)
