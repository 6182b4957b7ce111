"""A text as HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup

_SUBSCRIPT = re.compile(r"([α-ωΑ-Ω])_(\w+)")
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_]|\b|\s|$)")
_RUNS = re.compile(rb"\x00+|\x01+")


def typeset(text: str, names: Sequence[str] = ()) -> Markup:
    """A text as HTML, escaped, with typographic apostrophes; the index of a Greek letter, ``λ_min``, is a subscript.

    Args:
        text: the text.
        names: names in it that a user chose: they stay as they are. Of two that overlap, the longer one counts.
    """
    from markupsafe import Markup, escape

    def ours(part: str) -> Markup:
        curled = _APOSTROPHE.sub("’", part)
        return Markup(_SUBSCRIPT.sub(r"\1<sub>\2</sub>", str(escape(curled))))

    return Markup("").join(part if is_name else ours(part) for is_name, part in _parts(text, names))


def _parts(text: str, names: Iterable[str]) -> Iterator[tuple[bool, str]]:
    """The text in parts, each with whether it consists of names.

    Names come from received files: the time stays near linear for long names, unlike that of a regular expression.
    """
    marks = bytearray(len(text))
    for name in sorted(filter(None, set(names)), key=len, reverse=True):
        start = text.find(name)
        while start >= 0:
            end = start + len(name)
            longer = marks.rfind(1, start, end)
            if longer < 0:
                marks[start:end] = b"\1" * len(name)
            start = text.find(name, end if longer < 0 else longer + 1)
    for run in _RUNS.finditer(marks):
        yield marks[run.start()] == 1, text[run.start() : run.end()]
