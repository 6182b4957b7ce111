"""``normscope data``: list the data sets, and download them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from normscope.cli.docstrings import help_of

app = typer.Typer(help="List the data sets, or download one.", no_args_is_help=True)


def list_datasets() -> None:
    """List every data set, whether it is here, and where it comes from; and how your own data are named."""
    from normscope import data
    from normscope.progress import say

    width = max(map(len, data.CATALOGUE))
    for name, entry in data.CATALOGUE.items():
        is_here, where = data.available(name)
        say(f"{name:{width}}  {entry.title}: {entry.train:,} + {entry.test:,} images, {entry.licence}")
        say(f"{'':{width}}  {f'ready, {where}' if is_here else where}")
    say(
        "your own: MODULE:LOADER (a function), idx:FOLDER (IDX files), images:FOLDER (a class a sub-folder), "
        "for --data of 'reproduce' and 'sweep'"
    )


def fetch(name: Annotated[str, typer.Argument(metavar="NAME", help="See 'normscope data list'.")]) -> None:
    """Prepare a data set for use without a network; download it when it is not here."""
    from normscope.progress import say

    say(_fetch(name))


app.command(name="list", help=help_of(list_datasets))(list_datasets)
app.command(name="fetch", help=help_of(fetch))(fetch)


def fetch_missing(names: Iterable[str]) -> None:
    """Download the data sets that are not here, each with a progress bar."""
    from normscope import data

    for name in sorted(names):
        if not data.available(name)[0]:
            _fetch(name)


def _fetch(name: str) -> str:
    from normscope import data
    from normscope.cli import display

    with display.download() as progress:
        return str(data.fetch(name, progress))
