"""``normscope data``: list the data sets, and download them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

app = typer.Typer(help="List the data sets, or download one.", no_args_is_help=True)


@app.command(name="list")
def list_datasets() -> None:
    """List every data set, whether it is here, and where it comes from; and how your own data are named."""
    from normscope import data

    width = max(map(len, data.CATALOGUE))
    for name, entry in data.CATALOGUE.items():
        is_here, where = data.available(name)
        print(f"{name:{width}}  {entry.title}: {entry.train:,} + {entry.test:,} images, {entry.licence}")
        print(f"{'':{width}}  {f'ready, {where}' if is_here else where}")
    print(
        "your own: MODULE:LOADER (a function), idx:FOLDER (IDX files), images:FOLDER (a class a sub-folder), "
        "for --data of 'reproduce' and 'sweep'"
    )


@app.command()
def fetch(name: Annotated[str, typer.Argument(metavar="NAME", help="See 'normscope data list'.")]) -> None:
    """Prepare a data set for use without a network; download it when it is not here."""
    print(_fetch(name))


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
