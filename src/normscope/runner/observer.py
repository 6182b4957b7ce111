"""What a run reports to whoever watches it. Nothing here prints: the command line's displays are observers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from normscope.protocol import Cell
    from normscope.runner.planning import Plan


class Observer:
    """Base class of everything that watches a run. Its methods do nothing: override the ones you need.

    Calls come one at a time, from the run's own threads.
    """

    def planned(self, plan: Plan) -> None:
        """The plan's cells are about to run."""

    def started(self, cell: Cell) -> None:
        """A worker has taken the cell."""

    def elsewhere(self, cell: Cell) -> None:
        """Another process on the same store is running the cell. It starts here only if that process gives it up."""

    def finished(self, cell: Cell, seconds: float) -> None:
        """The cell is in the store and on the disk, its file's name included: a power cut does not take it away."""

    def retried(self, cell: Cell, error: str) -> None:
        """The cell's worker died; the cell will be tried again."""

    def failed(self, cell: Cell, error: str) -> None:
        """The cell raised an error, or its worker died too often. The other cells still run."""
