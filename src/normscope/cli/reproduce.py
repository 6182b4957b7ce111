"""``normscope reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CELL_FAILED, CLAIM_FAILED = 1, 3


def reproduce(
    patterns: Annotated[
        list[str],
        typer.Argument(metavar="ID|PREFIX|all", help="Experiments, papers, or 'all'; see 'normscope list'."),
    ],
    scale: Annotated[str, typer.Option(help="quick, laptop or paper.")] = "quick",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where results are kept.")] = Path(
        "normscope-runs"
    ),
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Cells side by side; one a core by default.")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="local: worker processes of this machine; ray: Ray's tasks, started here.")
    ] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT|auto", help="With --engine ray: a running cluster to join instead."),
    ] = None,
    cell_timeout: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds after which a cell counts as failed.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run every cell anew, finished or not.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the cells and the estimate; run nothing.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 3 when a claim does not hold.")] = False,
) -> None:
    """Reproduce figures and tables of the papers and check their claims on this machine.

    Finished cells are kept: the same command again goes on where it was stopped.
    """
    from normscope.cli import display
    from normscope.cli.data import fetch_missing
    from normscope.papers import catalogue
    from normscope.progress import watching
    from normscope.reproduction import Reproduction

    reproduction = Reproduction(
        catalogue.load(patterns),
        scale,
        out,
        workers,
        timeout=cell_timeout,
        fresh=fresh,
        engine=engine,
        ray_address=ray_address,
    )
    if dry_run:
        display.show_plan(reproduction.plan(offline=True))
        return
    fetch_missing(reproduction.datasets())
    with watching(progress=True) as observer:
        results = reproduction.run(observer)
    display.show_scorecard(results)
    display.show_places(out)
    if any(result.failures for result in results):
        raise typer.Exit(CELL_FAILED)
    if strict and any(claim.holds is False for result in results for claim in result.claims):
        raise typer.Exit(CLAIM_FAILED)
