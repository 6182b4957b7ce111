"""The commands by name, and the parser of their options."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from normscope.cli import bench_norm, catalogue, clean, data, info, report, reproduce, sweep
from normscope.cli.docstrings import help_of
from normscope.cli.exit_status import ExitStatus
from normscope.errors import InputError

# The base class of the parser's errors. Depending on its version, typer contains the parser or imports the installed
# click; the base class of an error that it exports is right in both cases.
_ParserError: type[Exception] = typer.BadParameter.__mro__[2]


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)
    ] = False,
) -> None:
    """The laboratory for normalization in neural networks."""
    if version:
        print(importlib.metadata.version("normscope"))
        raise typer.Exit


app = typer.Typer(
    name="normscope",
    invoke_without_command=True,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.callback(help=help_of(_options))(_options)
_COMMANDS: dict[str, Callable[..., None]] = {
    "list": catalogue.command,
    "reproduce": reproduce.command,
    "report": report.command,
    "sweep": sweep.command,
    "clean": clean.command,
    "bench-norm": bench_norm.command,
    "info": info.command,
}
for _name, _command in _COMMANDS.items():
    app.command(name=_name, help=help_of(_command))(_command)
app.add_typer(data.app, name="data")


def run(arguments: Sequence[str] | None) -> int:
    """Run a command and return its exit status.

    Args:
        arguments: the words after ``normscope``; ``None`` for those that the process was started with.

    Raises:
        InputError: for options that the command does not take.
        KeyboardInterrupt: the user has interrupted it.
    """
    try:
        status: int = app(arguments, standalone_mode=False) or 0
    except _ParserError as error:
        raise InputError(error.format_message()) from error  # type: ignore[attr-defined]
    except typer.Abort:
        raise KeyboardInterrupt from None
    except SystemExit as end:
        broken = end.__context__  # The parser takes any broken pipe for the output's.
        raise broken if isinstance(broken, BrokenPipeError) else end from None
    if status == ExitStatus.INTERRUPTED:  # The parser has caught the exception.
        raise KeyboardInterrupt
    return status
