"""The console that messages go to."""

from __future__ import annotations

from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """A console on a standard stream. In a pipe it has 80 columns, or as many as the variable ``COLUMNS`` says.

    Names of the user's own stay letter by letter: without ``emoji=False``, ``a:ok:b`` would be shown with a pictogram.
    """
    return Console(stderr=stderr, highlight=False, emoji=False)
