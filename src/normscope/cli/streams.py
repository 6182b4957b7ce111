"""The standard streams of the command's process, which may be closed, full, or unable to show a character."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import io
import os
import re
import select
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


_STAND_INS = {
    "✓": "+", "✗": "x", "–": "-", "−": "-", "×": "x", "·": "-", "±": "+-", "→": "->", "…": "...", "≤": "<=", "≥": ">=",
    "∞": "inf", "√": "sqrt", "λ": "lambda", "η": "eta", "ε": "eps", "γ": "gamma", "β": "beta", "σ": "sigma", "τ": "tau",
    "Δ": "Delta",
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_SIZES, _SENSIBLE = ("COLUMNS", "LINES", "TERMINAL_WIDTH"), re.compile("[1-9][0-9]{0,3}")
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


def forget_impossible_sizes() -> None:
    """Remove the variables for a terminal's size that hold no sensible number: others take them at their word."""
    for name in _SIZES:
        if not _SENSIBLE.fullmatch(os.environ.get(name, "1")):
            del os.environ[name]


def write_whole(content: bytes) -> None:
    """Write UTF-8 to the standard output, whatever that one's encoding; as text when it takes no bytes."""
    if (buffer := getattr(sys.stdout, "buffer", None)) is not None:
        sys.stdout.flush()
        buffer.write(content)
        buffer.flush()
    elif sys.stdout is not None:
        sys.stdout.write(content.decode())


class StandardStreams:
    """Takes the place of ``sys.stdout`` and ``sys.stderr``: no write to them raises an :class:`OSError`.

    A character that the encoding lacks is shown in others, so that ``✓`` does not become the ``?`` of an open verdict.
    What does not fit a full disk is lost. A user's code that closes, wraps or replaces them, or closes their
    descriptors, does not change where the command's own words go.

    Args:
        reader_gone: called, by any thread, when nobody reads a stream any more.
    """

    def __init__(self, reader_gone: Callable[[], None]) -> None:
        codecs.register_error(_IN_OTHER_CHARACTERS, _in_other_characters)
        self._output = _Descriptor(1, reader_gone)
        self._errors = _Descriptor(2, reader_gone)
        self._texts = (_text(self._output, sys.stdout), _text(self._errors, sys.stderr))
        sys.stdout, sys.stderr = self._texts

    @property
    def errors(self) -> int:
        """The descriptor that the standard error is written to."""
        return self._errors.descriptor

    def flush(self) -> None:
        """Write what is still to be written."""
        for text in self._texts:
            text.flush()

    @property
    def lost(self) -> OSError | None:
        """Why something that was written to the standard output is lost; ``None`` if nothing is."""
        return self._output.error


class _Descriptor(io.RawIOBase):
    """A standard stream's file descriptor.

    Attributes:
        descriptor: the copy that is written to.
        error: of the first write that failed.
    """

    def __init__(self, descriptor: int, reader_gone: Callable[[], None]) -> None:
        self._number, self.descriptor, self._reader_gone = descriptor, descriptor, reader_gone
        self.error: OSError | None = None
        # A copy: a user's code may close the stream's own, and the next file that is opened would get its number.
        with contextlib.suppress(OSError):
            self.descriptor = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)

    def writable(self) -> bool:
        return True

    def write(self, content: ReadableBuffer, /) -> int:
        while True:
            try:
                return os.write(self.descriptor, content)
            except BlockingIOError:  # another program that has the same terminal or pipe has set it so
                select.select([], [self.descriptor], [])
                continue
            except (BrokenPipeError, ConnectionResetError):
                self._reader_gone()
            except OSError as error:
                self.error = self.error or error
            return memoryview(content).nbytes


class _Buffer(io.BufferedWriter):
    """A buffer that stays open for the command's own words, whoever closes it."""

    def close(self) -> None:
        self.flush()


class _Text(io.TextIOWrapper):
    """A text stream that stays open as well."""

    def close(self) -> None:
        self.flush()

    def detach(self) -> Any:
        self.flush()
        return self.buffer


def _text(descriptor: _Descriptor, before: TextIO | None) -> TextIO:
    """The text stream of a descriptor, in the encoding of the stream before."""
    return _Text(
        _Buffer(descriptor),
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
