"""``normscope data``: the data sets, and fetching them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

app = typer.Typer(help="The data sets: what is here, and fetching what is not.", no_args_is_help=True)


@app.command(name="list")
def list_datasets() -> None:
    """Every data set, whether it is at hand, and from where."""
    from normscope import data

    width = max(map(len, data.CATALOGUE))
    for name, entry in data.CATALOGUE.items():
        at_hand, where = data.available(name)
        print(f"{name:{width}}  {entry.title}: {entry.train:,} + {entry.test:,} images, {entry.licence}")
        print(f"{'':{width}}  {'ready' if at_hand else 'missing'}, {where}")


@app.command()
def fetch(name: Annotated[str, typer.Argument(metavar="NAME", help="See 'normscope data list'.")]) -> None:
    """Make a data set ready for use without a network, downloading it when it is not here."""
    print(_fetch(name))


def fetch_missing(names: Iterable[str]) -> None:
    """Download the data sets that are not at hand, each with a progress bar."""
    from normscope import data

    for name in sorted(names):
        if not data.available(name)[0]:
            _fetch(name)


def _fetch(name: str) -> str:
    from normscope import data
    from normscope.cli import display

    with display.download() as progress:
        return str(data.fetch(name, progress))
