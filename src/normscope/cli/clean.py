"""``normscope clean``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that normscope has written.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed; remove nothing.")
    ] = False,
) -> None:
    """Remove cells that no experiment refers to, older copies of cells, and what crashes have left behind."""
    from normscope.progress import say
    from normscope.results import ResultsFolder
    from normscope.results.cleaning import clean

    removals = clean(ResultsFolder(folder), dry_run=dry_run)
    verb = "would remove" if dry_run else "removed"
    for removal in removals:
        say(f"{verb} {removal.what}: {removal.count:,} ({removal.bytes / 1e6:,.2f} MB)")
    if not removals:
        say("nothing to remove")
