"""The display in a notebook: the terminal's display as an output of the cell, replaced in place."""

from __future__ import annotations

import contextlib
import io
import uuid
from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from normscope.progress._ticking import ticking
from normscope.progress.display import Display, draw_tally
from normscope.progress.screen import Screen

_SECONDS = 0.5
_COLUMNS = 110
_HTML = '<pre style="line-height:1.3;margin:0;white-space:pre">{code}</pre>'


@contextlib.contextmanager
def notebook_display() -> Iterator[Display]:
    """A display in the output of the notebook cell that is running; its last state stays."""
    from IPython.display import display

    messages: list[Text] = []
    progress = Display(lambda words, style: messages.append(Text(words, style=style)))
    place = uuid.uuid4().hex
    display(_bundle(Text("")), raw=True, display_id=place)

    def show() -> float:
        drawing = Group(*list(messages), draw_tally(progress.tally))
        display(_bundle(drawing), raw=True, display_id=place, update=True)
        return _SECONDS

    with ticking(show):
        yield progress
    show()


def _bundle(drawing: RenderableType) -> dict[str, Any]:
    """A drawing in the formats that a notebook takes."""
    canvas = Screen(
        record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, force_jupyter=False,
        color_system="truecolor", highlight=False, emoji=False,
    )  # fmt: skip
    canvas.print(drawing)
    return {
        "text/html": canvas.export_html(inline_styles=True, code_format=_HTML, clear=False),
        "text/plain": canvas.export_text(),
    }
