"""``normscope list``."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    prefix: Annotated[str, typer.Argument(help="A paper or an experiment; by default everything.")] = "all",
) -> None:
    """List the experiments, each with what it measures and its source."""
    from rich.console import Console
    from rich.table import Table

    from normscope.papers import catalogue

    table = Table("experiment", "measures", "source", box=None, pad_edge=False, header_style="bold")
    table.columns[0].no_wrap = True
    for entry in catalogue.find(prefix):
        table.add_row(entry.id, entry.title, f"{entry.paper.citation}, {entry.place}")
    console = Console()
    Console(width=None if console.is_terminal else 200).print(table)
