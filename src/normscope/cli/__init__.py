"""The command line: one file per command. A file's ``command`` parses, calls and prints; the work is done elsewhere.

:class:`~normscope.cli.exit_status.ExitStatus` lists the exit status of every command.
"""

from __future__ import annotations

import importlib.metadata
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, TextIO

import typer

from normscope.cli import bench_norm, catalogue, clean, data, info, report, reproduce, sweep
from normscope.cli.exit_status import ExitStatus
from normscope.errors import NormscopeError, NormscopeWarning

# The base class of the parser's errors. Depending on its version, typer contains the parser or imports the installed
# click; the base class of an error that it exports is right in both cases.
_ParserError: type[Exception] = typer.BadParameter.__mro__[2]

_show_warning = warnings.showwarning

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
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)
    ] = False,
) -> None:
    """The laboratory for normalization in neural networks."""
    if version:
        print(importlib.metadata.version("normscope"))
        raise typer.Exit


app.command(name="list")(catalogue.command)
app.command(name="reproduce")(reproduce.command)
app.command(name="report")(report.command)
app.command(name="sweep")(sweep.command)
app.command(name="clean")(clean.command)
app.command(name="bench-norm")(bench_norm.command)
app.command(name="info")(info.command)
app.add_typer(data.app, name="data")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its exit status.

    Args:
        arguments: the words after ``normscope``; by default those that the process was started with.
    """
    warnings.showwarning = _shown_warning
    try:
        status = app(arguments, standalone_mode=False)
    except NormscopeError as error:
        _complain(str(error))
        status = error.exit_status
    except _ParserError as error:
        _complain(error.format_message())  # type: ignore[attr-defined]
        status = ExitStatus.BAD_USE
    except (KeyboardInterrupt, typer.Abort):
        status = ExitStatus.INTERRUPTED
    if status == ExitStatus.INTERRUPTED:
        _complain("interrupted; finished cells are kept: the same command goes on with the others.")
    sys.exit(status or 0)


def _shown_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show a warning of ours in one line, as an error is shown; another package's as Python does."""
    if issubclass(category, NormscopeWarning):
        _complain(f"warning: {message}")
    else:
        _show_warning(message, category, filename, lineno, file, line)


def _complain(message: str) -> None:
    if message:
        print("normscope: " + " ".join(message.split()), file=sys.stderr)
