"""The errors that a caller can correct, each with an exit status for the command line.

A message is one sentence that says what was wrong and what is allowed. The command line prints it without a traceback
and exits with the class's ``exit_status``.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

_FEW = 4
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, ends of lines and paragraphs, what turns the direction of writing, and lone surrogates."""

_MOST_MARKS = 30
_AMONG_MARKS = re.compile("[\u0300-\U0010ffff]{31,}")
"""What holds every row of more marks than that: none comes before U+0300."""


class NormscopeError(Exception):
    """Base class of all errors that normscope raises on purpose."""

    exit_status = 1


class InputError(NormscopeError, ValueError):
    """A bad argument, name, file or folder: what was wrong and what is allowed."""

    exit_status = 2


class UnknownNameError(InputError):
    """A name that is not among the known ones; the message suggests the nearest.

    Args:
        kind: the kind of object, such as ``"experiment"``.
        name: the name that was not found.
        known: all known names.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = list(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
        known_names = f"known: {', '.join(names)}."
        hint = f"did you mean {' or '.join(near)}?" if near else known_names
        if near and len(names) <= _FEW:
            hint += f" ({known_names.removesuffix('.')})"
        super().__init__(f"unknown {kind} {name!r}: {hint}")
        self.name = name
        self.near = near
        self.known = tuple(names)


def said(error: BaseException) -> str:
    """The type and the words of an error that a user's code raised, on one line."""
    try:
        words = str(error)
    except Exception:  # the error is the user's own, and so is the method that failed
        words = ""
    return " ".join(f"{type(error).__name__}: {words}".split()).rstrip(":")


def printable(text: str, keep: str = "") -> str:
    r"""The text with a visible escape, such as ``\x1b``, for each character that could harm who looks at it.

    These are control characters, which command a terminal; the characters that turn the direction of writing, which
    make a text read as another one; lone surrogates, which no file can hold; and the marks on one letter from the 31st
    on, since 100,000 of them stop a browser for minutes. All other characters stay.

    Args:
        text: the text, from anybody.
        keep: control characters that stay, such as ``"\t\n"``.
    """
    text = _UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)
    return _AMONG_MARKS.sub(lambda found: _with_few_marks(found[0]), text)


def _with_few_marks(text: str) -> str:
    marks, characters = 0, []
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        characters.append(character if marks <= _MOST_MARKS else _escape(character))
    return "".join(characters)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


class DataError(InputError):
    """A data set that is missing, truncated, or not what its name says."""


class DamagedError(InputError):
    """A file whose content is not what was written, or something else in a file's place."""


class NormscopeWarning(UserWarning):
    """A warning that does not stop the work."""
