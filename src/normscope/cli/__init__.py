"""The command line. One file a command group: each parses, calls, prints; the work is done elsewhere.

Exit status: 0 done, 1 a cell failed, 2 bad use or input (one line), 3 a claim does not hold under ``--strict``,
130 interrupted.
"""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from normscope.cli import bench_norm, catalogue, clean, data, info, report, reproduce, sweep
from normscope.errors import NormscopeError

BAD_USE, INTERRUPTED = 2, 130

# The parser's own errors. Typer brings its parser along, or takes the installed click, depending on its version; this
# base class of what it exports is the same either way.
_ParserError: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="normscope",
    invoke_without_command=True,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)
    ] = False,
) -> None:
    """The laboratory for normalization in neural networks."""
    if version:
        print(importlib.metadata.version("normscope"))
        raise typer.Exit


app.command(name="list")(catalogue.list_experiments)
app.command(name="reproduce")(reproduce.reproduce)
app.command(name="report")(report.report)
app.command(name="sweep")(sweep.sweep)
app.command(name="clean")(clean.clean)
app.command(name="bench-norm")(bench_norm.bench_norm)
app.command(name="info")(info.info)
app.add_typer(data.app, name="data")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its status."""
    try:
        status = app(arguments, standalone_mode=False)
    except NormscopeError as error:
        _complain(str(error))
        status = error.exit_status
    except _ParserError as error:
        _complain(error.format_message())  # type: ignore[attr-defined]
        status = BAD_USE
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    if status == INTERRUPTED:
        _complain("interrupted; what is finished is kept: the same command goes on from there.")
    sys.exit(status or 0)


def _complain(message: str) -> None:
    if message:
        print("normscope: " + " ".join(message.split()), file=sys.stderr)
