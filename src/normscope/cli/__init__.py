"""The command line: one file per command. A file's ``command`` parses, calls and prints; the work is done elsewhere.

:class:`~normscope.cli.exit_status.ExitStatus` lists the exit status of every command. :func:`main` is the way in;
:mod:`~normscope.cli.ending` and :mod:`~normscope.cli.streams` are ready before anything slow is imported.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any, TextIO

from normscope.cli.ending import INTERRUPTED, Ending
from normscope.cli.exit_status import ExitStatus
from normscope.cli.refusals import refusal
from normscope.cli.streams import StandardStreams, open_missing
from normscope.errors import NormscopeError, NormscopeWarning, printable

_show_warning = warnings.showwarning


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and end the process with its exit status.

    Args:
        arguments: the words after ``normscope``. ``None``: those that this process was started with. The process then
            belongs to the command, which handles its signals, its standard streams and its warnings, too.
    """
    sys.exit(_status(arguments) if arguments is not None else _status_of_process())


def _status_of_process() -> int:
    """Run the command that this process was started for; its exit status."""
    ending = Ending()
    try:
        ending.take_signals()
        open_missing()
        streams = StandardStreams(ending.reader_gone)
        _never_raise_warnings()
        status = _status(None)
        sys.stdout.flush()
        if (lost := streams.lost) is not None and ending.status is None:
            _complain(f"cannot write to the standard output: {lost.strerror}.")
            status = ExitStatus.BAD_USE
        if ending.status is None:
            ending.finish(status)
            return status
    except BaseException:
        # An error that a signal has caused, in a library that was interrupted, is none of its own.
        if ending.status is None:
            raise
    ending.say()
    ending.finish(ending.status)
    return ending.status


def _status(arguments: Sequence[str] | None) -> int:
    """Run a command; what a user can understand and correct is said in one line. Returns the exit status."""
    warnings.showwarning = _shown_warning
    try:
        from normscope.cli import commands

        return commands.run(arguments)
    except NormscopeError as error:
        _complain(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        _complain(INTERRUPTED)
        return ExitStatus.INTERRUPTED
    except Exception as error:
        if (refused := refusal(error)) is None:
            raise
        status, words = refused
        _complain(words)
        return status


def _never_raise_warnings() -> None:
    """Show every warning that ``-W error`` or ``PYTHONWARNINGS=error`` would raise: a warning never stops the work."""
    if all(action != "error" for action, *_ in warnings.filters):
        return
    filters: list[Any] = [*warnings.filters]
    warnings.resetwarnings()
    for action, message, category, module, line in reversed(filters):
        shown: Any = "default" if action == "error" else action
        warnings.filterwarnings(shown, _pattern(message), category, _pattern(module), line)


def _pattern(words: re.Pattern[str] | str | None) -> str:
    return words.pattern if isinstance(words, re.Pattern) else words or ""


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
        print("normscope: " + printable(" ".join(message.split())), file=sys.stderr)
