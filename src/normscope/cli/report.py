"""``normscope report``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from normscope.cli.exit_status import ExitStatus

_STDOUT = Path("-")


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that normscope has written.")],
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the scorecard as CSV; - prints only the CSV."),
    ] = None,
    latex: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also write the scorecard as a LaTeX table; - prints only the table."
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 3 when a claim does not hold.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show every number, test and reason of each claim.")
    ] = False,
) -> None:
    """Judge and draw stored results again, and write scorecard and page; nothing is run."""
    from normscope.cli import display, streams
    from normscope.cli.scorecard import show_scorecard
    from normscope.errors import InputError
    from normscope.protocol import Verdict
    from normscope.report import export
    from normscope.report.scorecard import verdict
    from normscope.results import ResultsFolder
    from normscope.results.files import write_export
    from normscope.results.rebuilding import rebuild

    if csv == latex == _STDOUT:
        raise InputError("only one of --csv and --latex can be printed: give the other a file.")
    for path in (csv, latex):
        if path is not None and not os.path.isdir(path.parent):
            raise InputError(f"cannot write {path}: there is no folder {path.parent}.")
    results_folder = ResultsFolder(folder)
    rebuilt = rebuild(results_folder)
    exports = {path: to for path, to in ((csv, export.to_csv), (latex, export.to_latex)) if path is not None}
    for path, convert in exports.items():
        if path == _STDOUT:
            streams.write_whole(convert(rebuilt.rows).encode(errors="replace"))
        else:
            write_export(path, convert(rebuilt.rows))
    if _STDOUT not in exports:
        if any(result.claims for result in rebuilt.results):
            show_scorecard(rebuilt.results, verbose=verbose)
        display.show_absent(rebuilt.absent)
        display.show_paths(results_folder.scorecard.path, results_folder.page, *exports)
    if rebuilt.unreadable:
        raise InputError(rebuilt.unreadable)
    if rebuilt.is_damaged:
        raise typer.Exit(ExitStatus.CELL_FAILED)
    if strict and any(verdict(row) is Verdict.FAILS for row in rebuilt.rows):
        raise typer.Exit(ExitStatus.CLAIM_FAILED)
