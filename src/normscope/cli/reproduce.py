"""``normscope reproduce``."""

from __future__ import annotations

from typing import Annotated

import typer

from normscope.cli.exit_status import ExitStatus
from normscope.cli.running import (
    CellTimeout,
    Device,
    DryRun,
    Engine,
    Fresh,
    Out,
    RayAddress,
    Workers,
    run_or_list,
)


def command(
    patterns: Annotated[
        list[str],
        typer.Argument(metavar="ID|PREFIX|all", help="Experiments, papers, or 'all'; see 'normscope list'."),
    ],
    scale: Annotated[str, typer.Option(metavar="quick|laptop|paper", help="How large the run is.")] = "quick",
    data: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|MODULE:LOADER|idx:DIR|images:DIR",
            help="Another data set than the paper's; see 'normscope data list'.",
        ),
    ] = None,
    out: Out = None,
    device: Device = "cpu",
    workers: Workers = None,
    engine: Engine = "local",
    ray_address: RayAddress = None,
    cell_timeout: CellTimeout = None,
    fresh: Fresh = False,
    dry_run: DryRun = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 3 when a claim does not hold.")] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            help="Show every number, test and reason of each claim; with --dry-run, every cell.",
        ),
    ] = False,
) -> None:
    """Reproduce figures and tables of the papers and check their claims on this machine.

    Finished cells are kept: after an interruption, the same command runs only the missing ones.

    With --data, the results are those of ID@NAME, next to the paper's own, and say so.
    """
    from normscope.cli import display, working_directory
    from normscope.cli.catalogue import show_aliases
    from normscope.cli.scorecard import show_scorecard
    from normscope.options import RunOptions
    from normscope.papers import catalogue, other_data
    from normscope.protocol import Scale, Verdict
    from normscope.reproduction import Reproduction
    from normscope.results import ResultsFolder

    if data is not None:
        working_directory.make_importable()
    folder = ResultsFolder(out)
    options = RunOptions(
        folder,
        Scale.parse(scale),
        workers,
        cell_timeout,
        fresh=fresh,
        engine=engine,
        ray_address=ray_address,
        device=device,
    )
    experiments = other_data.on(catalogue.load(patterns), data, options.scale)
    show_aliases(patterns)
    reproduction = Reproduction(experiments, options)
    results = run_or_list(reproduction, dry_run=dry_run, verbose=verbose)
    show_scorecard(results, verbose=verbose)
    display.show_paths(folder.scorecard.path, folder.page)
    if any(result.failures for result in results):
        raise typer.Exit(ExitStatus.CELL_FAILED)
    if strict and any(claim.verdict is Verdict.FAILS for result in results for claim in result.claims):
        raise typer.Exit(ExitStatus.CLAIM_FAILED)
