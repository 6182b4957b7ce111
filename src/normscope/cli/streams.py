"""The standard streams of the command's process, which may be closed, full, or unable to show a character."""

from __future__ import annotations

import codecs
import io
import os
import re
import select
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


_STAND_INS = {
    "✓": "+", "✗": "x", "–": "-", "−": "-", "×": "x", "·": "-", "±": "+-", "→": "->", "…": "...", "≤": "<=", "≥": ">=",
    "∞": "inf", "√": "sqrt", "λ": "lambda", "η": "eta", "ε": "eps", "γ": "gamma", "β": "beta", "σ": "sigma", "τ": "tau",
    "Δ": "Delta",
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_IN_OTHER_CHARACTERS = "normscope.in-other-characters"


def open_missing() -> None:
    """Open the null device as each standard stream that is closed: the next file would be taken for that stream."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(
                os.open(os.devnull, os.O_RDWR), True
            )  # The system gives the lowest free number.


class StandardStreams:
    """Takes the place of ``sys.stdout`` and ``sys.stderr``: no write to them raises an :class:`OSError`.

    A character that the encoding lacks is shown in others, so that ``✓`` does not become the ``?`` of an open verdict.
    What does not fit a full disk is lost.

    Args:
        reader_gone: called, by any thread, when nobody reads a stream any more.
    """

    def __init__(self, reader_gone: Callable[[], None]) -> None:
        codecs.register_error(_IN_OTHER_CHARACTERS, _in_other_characters)
        self._output = _Descriptor(1, reader_gone)
        sys.stdout = _text(self._output, sys.stdout)
        sys.stderr = _text(_Descriptor(2, reader_gone), sys.stderr)

    @property
    def lost(self) -> OSError | None:
        """Why something that was written to the standard output is lost; ``None`` if nothing is."""
        return self._output.error


class _Descriptor(io.RawIOBase):
    """A standard stream's file descriptor.

    Attributes:
        error: of the first write that failed.
    """

    def __init__(self, descriptor: int, reader_gone: Callable[[], None]) -> None:
        self._descriptor, self._reader_gone = descriptor, reader_gone
        self.error: OSError | None = None

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, content: ReadableBuffer, /) -> int:
        while True:
            try:
                return os.write(self._descriptor, content)
            except BlockingIOError:  # another program that has the same terminal or pipe has set it so
                select.select([], [self._descriptor], [])
                continue
            except BrokenPipeError:
                self._reader_gone()
            except OSError as error:
                self.error = self.error or error
            return memoryview(content).nbytes


def _text(descriptor: _Descriptor, before: TextIO | None) -> TextIO:
    """The text stream of a descriptor, in the encoding of the stream before."""
    return io.TextIOWrapper(
        io.BufferedWriter(descriptor),
        encoding=before.encoding if before is not None else "utf-8",
        errors=_IN_OTHER_CHARACTERS,
        line_buffering=descriptor.isatty() or descriptor.fileno() == 2,
        write_through=getattr(before, "write_through", False),
    )


def _in_other_characters(error: UnicodeError) -> tuple[str, int]:
    """ASCII for the characters that an encoding lacks; a ``?`` for one that we do not use ourselves."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    powers = re.sub("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda power: "^" + power[0].translate(_SUPERSCRIPTS), missing)
    return "".join(c if c.isascii() else _STAND_INS.get(c, "?") for c in powers), error.end
