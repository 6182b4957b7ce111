"""What a sweep tells whoever watches it. Nothing here prints: the command line's displays are observers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from normscope.protocol import Cell
    from normscope.runner.planning import Plan


class Observer(Protocol):
    """Hears of a sweep's progress. Calls come one at a time, from the sweep's threads."""

    def planned(self, plan: Plan) -> None:
        """Called once before any cell runs."""

    def started(self, cell: Cell) -> None:
        """A worker has taken the cell."""

    def elsewhere(self, cell: Cell) -> None:
        """Another process on the same store is running the cell; it starts here only if that one gives it up."""

    def finished(self, cell: Cell, seconds: float) -> None:
        """The cell's rows are in the store."""

    def retried(self, cell: Cell, error: str) -> None:
        """The cell's worker died; the cell will be tried again."""

    def failed(self, cell: Cell, error: str) -> None:
        """The cell raised an error, or its worker died too often; the rest goes on."""


class SilentObserver:
    """Watches and says nothing."""

    def planned(self, plan: Plan) -> None:
        """Say nothing."""

    def started(self, cell: Cell) -> None:
        """Say nothing."""

    def elsewhere(self, cell: Cell) -> None:
        """Say nothing."""

    def finished(self, cell: Cell, seconds: float) -> None:
        """Say nothing."""

    def retried(self, cell: Cell, error: str) -> None:
        """Say nothing."""

    def failed(self, cell: Cell, error: str) -> None:
        """Say nothing."""
