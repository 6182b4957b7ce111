"""Lines for pipes and logs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console

from normscope.progress._ticking import ticking
from normscope.progress.display import Display
from normscope.progress.tally import Tally

_SECONDS = 10.0
_LONGEST_SECONDS = 300.0
_SHARE = 1 / 2


@contextlib.contextmanager
def printed_lines(screen: Console) -> Iterator[Display]:
    """A line after ten seconds, whether or not a cell has ended, then ever fewer: down to one in five minutes.

    A message is one line, however long: programs that read a log go by lines.
    """

    def say(words: str) -> None:
        screen.print(words, markup=False, soft_wrap=True)

    display = Display(lambda words, style: say(words), ended=lambda tally: say(tally.describe()))
    seen: Tally | None = None

    def tick() -> float:
        """Print the tally, unless its plan has only begun or has ended."""
        nonlocal seen
        tally = display.tally
        if tally is not None and tally is seen and tally.done < tally.total:
            say(tally.describe())
        seen = tally
        return pause(tally)

    with ticking(tick):
        yield display


def pause(tally: Tally | None) -> float:
    """Seconds to the next line."""
    elapsed = tally.elapsed if tally is not None else 0.0
    return min(max(_SECONDS, elapsed * _SHARE), _LONGEST_SECONDS)
