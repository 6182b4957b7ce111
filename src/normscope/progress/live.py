"""The display on a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.live import Live

from normscope.progress.display import Display, draw_tally


@contextlib.contextmanager
def live_display(screen: Console) -> Iterator[Display]:
    """A display at the foot of the terminal that vanishes at the end; its messages stay above it."""
    display = Display(lambda words, style: screen.print(words, markup=False, style=style))
    with Live(get_renderable=lambda: draw_tally(display.tally), console=screen, transient=True):
        yield display
