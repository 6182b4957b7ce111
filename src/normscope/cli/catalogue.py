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
    from normscope.cli.display import show_table
    from normscope.papers import catalogue

    if prefix != _NORMS:
        try:
            entries = catalogue.find(prefix)
        except UnknownNameError as error:
            raise UnknownNameError("experiment", prefix, [*error.known, _NORMS]) from None
        rows = [(entry.id, entry.title, f"{entry.paper.citation}, {entry.place}") for entry in entries]
        show_table(("experiment", "measures", "source"), rows)
    if prefix == "all":
        print()
    if prefix in ("all", _NORMS):
        show_table(("norm", "does", "source"), _norms())


def _norms() -> Iterable[tuple[str, str, str]]:
    """The built-in norms, then those of installed packages."""
    from normscope.nn import descriptions, specs

    for name, norm in descriptions.NORMS.items():
        yield name, norm.summary, norm.source
    for name, target in specs.plugins().items():
        yield name, target, "an installed package"
