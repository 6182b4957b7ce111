"""Shows the progress of a run: a live display on a terminal or in a notebook, plain lines in a pipe.

Outside a notebook nothing is shown unless it is asked for: see :func:`watching`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from normscope.progress.screen import console, say
from normscope.progress.tally import Tally
from normscope.progress.words import counted, duration, plan_sentence
from normscope.runner import Observer

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Tally", "console", "counted", "duration", "in_notebook", "plan_sentence", "say", "watching"]


@contextlib.contextmanager
def watching(progress: bool | None = None, screen: Console | None = None) -> Iterator[Observer]:
    """An observer that shows a run's progress while the context lasts.

    Args:
        progress: whether to show it; ``None`` shows it in a notebook only.
        screen: where to show it; by default in the notebook's cell, or else on the standard error.
    """
    notebook = in_notebook()
    if not (notebook if progress is None else progress):
        yield Observer()
    elif notebook and screen is None:
        from normscope.progress.notebook import notebook_display

        with notebook_display() as observer:
            yield observer
    elif (screen := screen or console(stderr=True)).is_terminal:
        from normscope.progress.live import live_display

        with live_display(screen) as observer:
            yield observer
    else:
        from normscope.progress.lines import printed_lines

        with printed_lines(screen) as observer:
            yield observer


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel."""
    if (ipython := sys.modules.get("IPython")) is None:
        return False
    return getattr(ipython.get_ipython(), "kernel", None) is not None
