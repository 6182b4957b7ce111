"""Lines for pipes and logs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console

from normscope.progress._ticking import ticking
from normscope.progress.display import Display
from normscope.progress.tally import Tally

_SECONDS = 5.0
_LONGEST_SECONDS = 60.0
_SHARE = 1 / 60


@contextlib.contextmanager
def printed_lines(screen: Console) -> Iterator[Display]:
    """A line every five seconds, whether or not a cell has ended; after five minutes fewer, down to one a minute."""
    display = Display(
        lambda words, style: screen.print(words, markup=False),
        ended=lambda tally: screen.print(tally.describe(), markup=False),
    )
    seen: Tally | None = None

    def tick() -> float:
        """Print the tally, unless its plan has only begun or has ended."""
        nonlocal seen
        tally = display.tally
        if tally is not None and tally is seen and tally.done < tally.total:
            screen.print(tally.describe(), markup=False)
        seen = tally
        return pause(tally)

    with ticking(tick):
        yield display


def pause(tally: Tally | None) -> float:
    """Seconds to the next line."""
    elapsed = tally.elapsed if tally is not None else 0.0
    return min(max(_SECONDS, elapsed * _SHARE), _LONGEST_SECONDS)
