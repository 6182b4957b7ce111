"""The console that messages go to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.segment import Segment

from normscope.errors import printable

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderableType


def console(*, stderr: bool = False, width: int | None = None) -> Console:
    """A console on a standard stream. In a pipe it has 80 columns, or as many as the variable ``COLUMNS`` says.

    Names of the user's own stay letter by letter: without ``emoji=False``, ``a:ok:b`` would be shown with a pictogram.
    Characters that a terminal would obey are shown escaped, whoever wrote the text.
    """
    return Screen(stderr=stderr, width=width, highlight=False, emoji=False)


def say(words: str, *, stderr: bool = False) -> None:
    """Print a line as it is, however long: a terminal breaks it, a program reads it whole."""
    console(stderr=stderr).print(words, markup=False, soft_wrap=True)


class Screen(Console):
    """A console on which only what rich itself draws commands the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """The segments of something to print, each text escaped."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            if control or text.isprintable():
                yield segment
            else:
                yield Segment(printable(text, keep="\n\t"), style)
