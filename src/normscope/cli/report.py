"""``normscope report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that normscope has written.")],
) -> None:
    """Judge, draw and write the page again from stored results."""
    from normscope import reproduction
    from normscope.cli import display

    results = reproduction.rebuild(folder)
    if any(result.claims for result in results):
        display.show_scorecard(results)
    display.show_places(folder)
