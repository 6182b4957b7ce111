"""The console that messages go to."""

from __future__ import annotations

from rich.console import Console

_PIPE_COLUMNS = 160


def console(*, stderr: bool = False) -> Console:
    """A console on a standard stream. In a pipe its lines have a fixed width, which is more than 80 columns."""
    found = Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=_PIPE_COLUMNS)
