"""``normscope list``."""

from __future__ import annotations

from typing import Annotated

import typer


def list_experiments(
    prefix: Annotated[
        str, typer.Argument(help="A paper or an experiment; everything when left out.")
    ] = "all",
) -> None:
    """The catalogue: every experiment with its source."""
    from rich.console import Console
    from rich.table import Table

    from normscope.papers import catalogue

    table = Table("experiment", "measures", "source", box=None, pad_edge=False, header_style="bold")
    table.columns[0].no_wrap = True
    for entry in catalogue.find(prefix):
        table.add_row(entry.id, entry.title, f"{entry.paper.citation}, {entry.place}")
    console = Console()
    Console(width=None if console.is_terminal else 200).print(table)
