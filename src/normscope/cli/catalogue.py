"""``normscope list``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from normscope.errors import UnknownNameError

if TYPE_CHECKING:
    from normscope.papers.entry import Entry

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
        show_table(("experiment", "measures", "source"), [row for entry in entries for row in _rows(entry)])
    if prefix == "all":
        print()
    if prefix in ("all", _NORMS):
        show_table(("norm", "does", "source"), _norms())


def show_aliases(patterns: Iterable[str]) -> None:
    """Print, of every pattern that is an alias, which experiment shows it."""
    from normscope.papers import catalogue
    from normscope.progress import say

    for alias, entry in catalogue.shown_by(patterns).items():
        say(f"{alias} is shown by {entry.id} ({entry.place}).", stderr=True)


def _rows(entry: Entry) -> Iterable[tuple[str, str, str]]:
    """The line of an experiment, then one for each of its aliases."""
    source = f"{entry.paper.citation}, {entry.place}"
    yield entry.id, entry.title, source
    for alias in entry.aliases:
        yield alias, f"shown by {entry.id}", source


def _norms() -> Iterable[tuple[str, str, str]]:
    """The built-in norms, then those of installed packages."""
    from normscope.nn import descriptions, specs

    for name, norm in descriptions.NORMS.items():
        yield name, norm.summary, norm.source
    for name, target in specs.plugins().items():
        yield name, target, "an installed package"
