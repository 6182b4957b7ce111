"""What the commands that run cells share: their options, and the way from a reproduction to its results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from normscope.protocol import Result
    from normscope.reproduction import Reproduction

Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The results folder; by default normscope-runs.")
]
Device = Annotated[
    str,
    typer.Option(
        metavar="cpu|cuda|mps|auto", help="Where cells run; auto: an accelerator where there is one."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(metavar="N", help="How many cells run in parallel; by default one per core, four per GPU."),
]
Engine = Annotated[
    str,
    typer.Option(metavar="local|ray", help="local: worker processes of this machine; ray: a Ray cluster."),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT|auto",
        help="With --engine ray: the running cluster to join; by default Ray is started here.",
    ),
]
CellTimeout = Annotated[
    float | None, typer.Option(metavar="S", help="Seconds after which a cell counts as failed.")
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Run every cell again, finished or not.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Count the cells and estimate time and disk space; run nothing.")
]


def run_or_list(reproduction: Reproduction, *, dry_run: bool, verbose: bool) -> list[Result]:
    """Download the data sets that are missing, then run and show the progress.

    A dry run shows the plan instead, every cell of it when ``verbose``, and ends the command.
    """
    from normscope.cli import display
    from normscope.cli.data import fetch_missing
    from normscope.progress import watching

    if dry_run:
        display.show_plan(reproduction.plan(offline=True), verbose=verbose)
        raise typer.Exit
    fetch_missing(reproduction.datasets())
    with watching(progress=True) as observer:
        return reproduction.run(observer)
