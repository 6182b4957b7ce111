"""The command line: one file per command. A file's ``command`` parses, calls and prints; the work is done elsewhere.

:class:`~normscope.cli.exit_status.ExitStatus` lists the exit status of every command. :func:`main` is the way in;
:mod:`~normscope.cli.ending` and :mod:`~normscope.cli.streams` are ready before anything slow is imported.
"""

from __future__ import annotations

import contextlib
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from normscope.cli.ending import INTERRUPTED, Ending
from normscope.cli.exit_status import ExitStatus
from normscope.cli.refusals import refusal
from normscope.cli.streams import StandardStreams, forget_impossible_sizes, open_missing
from normscope.errors import NormscopeError, NormscopeWarning, printable


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
        forget_impossible_sizes()
        streams = StandardStreams(ending.reader_gone)
        ending.errors = streams.errors
        _never_raise_warnings()
        status = _status(None, ending)
        streams.flush()
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


def _status(arguments: Sequence[str] | None, ending: Ending | None = None) -> int:
    """Run a command; what a user can understand and correct is said in one line. Returns the exit status.

    Args:
        arguments: as for :func:`main`.
        ending: of the process. Once it ends, an error is no news: a user's code may have failed for that reason.
    """
    status: int
    with _own_warnings():
        try:
            from normscope.cli import commands

            return commands.run(arguments)
        except KeyboardInterrupt:
            status, words = ExitStatus.INTERRUPTED, INTERRUPTED
        except NormscopeError as error:
            status, words = error.exit_status, str(error)
        except Exception as error:
            if (refused := refusal(error)) is None:
                raise
            status, words = refused
        if ending is None or ending.status is None:
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


@contextlib.contextmanager
def _own_warnings() -> Iterator[None]:
    """Show a warning of ours in one line, as an error is shown; another package's as before."""
    before = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, NormscopeWarning):
            _complain(f"warning: {message}")
        else:
            before(message, category, filename, lineno, file, line)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


def _complain(message: str) -> None:
    if message and sys.stderr is not None:
        print("normscope: " + printable(" ".join(message.split())), file=sys.stderr)
