"""Where words go."""

from __future__ import annotations

from rich.console import Console

_PIPE_COLUMNS = 160


def console(*, stderr: bool = False) -> Console:
    """Where to print; a pipe gets lines of a fixed width rather than 80 columns."""
    found = Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=_PIPE_COLUMNS)
