"""What every display has in common: an observer that keeps the tally and writes messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from normscope.progress.tally import Tally
from normscope.progress.words import plan_sentence
from normscope.runner import Observer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from normscope.protocol import Cell
    from normscope.runner import Plan

_BAR = 20


class Display(Observer):
    """Counts the cells of a run.

    Args:
        say: prints a line that stays, in a style.
        ended: called with the tally of a plan when its last cell has ended.

    Attributes:
        tally: the count of the latest plan's cells; ``None`` before the first plan.
    """

    def __init__(
        self, say: Callable[[str, str], None], ended: Callable[[Tally], None] = lambda tally: None
    ) -> None:
        self.tally: Tally | None = None
        self._shared = False
        self._say, self._ended = say, ended

    def planned(self, plan: Plan) -> None:
        """Say how many cells are found and how many are new, and start a tally."""
        self._say(plan_sentence(plan), "")
        self.tally = Tally(plan)

    def started(self, cell: Cell) -> None:
        """Count the cell."""
        if self.tally is not None:
            self.tally.start(cell)

    def elsewhere(self, cell: Cell) -> None:
        """Count the cell, and say once that there is another run."""
        if self.tally is not None:
            self.tally.elsewhere(cell)
        if not self._shared:
            self._shared = True
            self._say("Another run is at work in this folder: the two share the cells.", "")

    def finished(self, cell: Cell, seconds: float) -> None:
        """Count the cell."""
        self._end(cell, seconds)

    def retried(self, cell: Cell, error: str) -> None:
        """Say why."""
        if self.tally is not None:
            self.tally.retry()
        self._say(f"trying again {cell.describe()}: {error}", "")

    def failed(self, cell: Cell, error: str) -> None:
        """Say why, and count the cell."""
        self._say(f"failed {cell.describe()}: {error}", "red")
        self._end(cell, None)

    def _end(self, cell: Cell, seconds: float | None) -> None:
        if self.tally is not None:
            self.tally.end(cell, seconds)
            if self.tally.done == self.tally.total:
                self._ended(self.tally)


def draw_tally(tally: Tally | None) -> RenderableType:
    """A tally as a bar with its numbers, above the cells that ended last."""
    if tally is None or not tally.total:
        return Text("")
    head = Table.grid(padding=(0, 1), expand=True)
    head.add_column(width=_BAR)
    head.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    head.add_row(ProgressBar(total=tally.total, completed=tally.done, width=_BAR), Text(tally.describe()))
    last = [Text(f"  {words}", style="dim", no_wrap=True, overflow="ellipsis") for words in list(tally.last)]
    return Group(head, *last)
