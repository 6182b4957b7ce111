"""``normscope report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_STDOUT = Path("-")


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that normscope has written.")],
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the scorecard as CSV too; - prints it instead.")
    ] = None,
    latex: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the scorecard as a LaTeX table too; - prints it instead."),
    ] = None,
) -> None:
    """Judge, draw and write the page again from stored results."""
    from normscope.cli import display
    from normscope.errors import InputError
    from normscope.progress import console
    from normscope.report import export
    from normscope.results import files, scorecard, stored, tour

    if csv == latex == _STDOUT:
        raise InputError("only one of --csv and --latex can be printed: give the other a file.")
    for path in (csv, latex):
        if path is not None and not path.parent.is_dir():
            raise InputError(f"cannot write {path}: there is no folder {path.parent}.")
    found = stored.rebuild(folder)
    rows = scorecard.read_scorecard(folder)
    exports = {path: to for path, to in ((csv, export.to_csv), (latex, export.to_latex)) if path is not None}
    for path, convert in exports.items():
        if path == _STDOUT:
            print(convert(rows), end="")
        else:
            files.write_text(path, convert(rows))
    if _STDOUT in exports:
        return
    if any(result.claims for result in found):
        display.show_scorecard(found)
    screen = console()
    if absent := tour.absent(folder):
        named = ", ".join(f"{id} ({why})" for id, why in absent.items())
        screen.print(f"not on the page: {named}", markup=False)
    display.show_places(folder)
    for path in exports:
        screen.print(str(path), markup=False, soft_wrap=True)
