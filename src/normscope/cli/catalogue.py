"""``normscope list``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from normscope.errors import UnknownNameError

_NORMS = "norms"


def command(
    prefix: Annotated[
        str, typer.Argument(help="A paper, an experiment, or 'norms'; by default everything.")
    ] = "all",
) -> None:
    """List the experiments and the norms, each with what it is and its source."""
    from normscope.papers import catalogue

    if prefix != _NORMS:
        try:
            entries = catalogue.find(prefix)
        except UnknownNameError as error:
            raise UnknownNameError("experiment", prefix, [*error.known, _NORMS]) from None
        rows = [(entry.id, entry.title, f"{entry.paper.citation}, {entry.place}") for entry in entries]
        _print(("experiment", "measures", "source"), rows)
    if prefix == "all":
        print()
    if prefix in ("all", _NORMS):
        _print(("norm", "does", "source"), _norms())


def _norms() -> Iterable[tuple[str, str, str]]:
    """The built-in norms, then those of installed packages."""
    from normscope.nn import descriptions, specs

    for name, norm in descriptions.NORMS.items():
        yield name, norm.summary, norm.source
    for name, target in specs.plugins().items():
        yield name, target, "an installed package"


def _print(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from normscope.progress import console

    table = Table(*head, box=None, pad_edge=False, header_style="bold")
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*map(Text, row))
    console(width=None if console().is_terminal else 200).print(table)
