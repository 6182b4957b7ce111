"""Names that a user gave, as text in a figure: shown letter by letter, never read as mathematics or as an instruction.

A paper's own labels hold mathematics on purpose and do not pass through here.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable

from matplotlib import cbook
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path

LEGEND_INCHES = 3.8
"""The widest text in a legend: with its line, it fits under one panel."""

LEGEND_POINTS = 10.0

_NARROW = "i"
_MANY = 10
"""A text with so many times the letters that fit is cut without being measured, which takes seconds for 100,000."""

_POINTS_PER_INCH = 72
_NO_WIDTH = "\N{ZERO WIDTH SPACE}"


def literal(text: str) -> str:
    r"""The text in the form that makes matplotlib show it letter by letter, on one line.

    A character that cannot be printed, or that the figure's fonts lack, is written as its escape in Python, such as
    ``\n`` or ``\u6f22``. A ``$`` does not begin mathematics, and a leading ``_`` does not hide the entry of a legend.
    """
    shown = visible(text)
    guard = (
        _NO_WIDTH if shown.startswith("_") else ""
    )  # matplotlib leaves labels with a leading _ out of legends
    return guard + shown.replace("$", r"\$")


def visible(text: str) -> str:
    """The text with an escape in place of each character that cannot be printed or that the figure's fonts lack."""
    fonts = {findfont(FontProperties(family=[family])) for family in FontProperties().get_family()}
    known = frozenset[int]().union(*map(_characters, fonts))
    return "".join(
        letter if letter.isprintable() and ord(letter) in known else _escape(letter) for letter in text
    )


def shortened(text: str, inches: float, points: float) -> str:
    """The visible text, its middle replaced by ``…`` where it is wider than ``inches`` in letters of that size."""
    text, most = visible(text), _most_letters(inches, points)
    if len(text) <= _MANY * most and width(literal(text), points) <= inches:
        return text
    for kept in range(min(len(text) - 1, most), 0, -1):
        short = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
        if width(literal(short), points) <= inches:
            return short
    return "…"


def abbreviated(path: str, inches: float, points: float) -> str:
    """A dotted name that fits: its words, from the left, are cut to their first letters; numbers and the end stay.

    Example:
        >>> abbreviated("encoder.layers.11.attention.projection", 1.5, 7.5)
        'e.l.11.attention.projection'
    """
    if len(path) > _MANY * _most_letters(inches, points):
        return shortened(path, inches, points)
    words = visible(path).split(".")
    for place, word in enumerate(words[:-1]):
        if width(literal(".".join(words)), points) <= inches:
            break
        words[place] = word if word.isdigit() else word[:1]
    return shortened(".".join(words), inches, points)


def fitted(names: Iterable[str]) -> list[str]:
    """The names as the entries of a legend: visible, shortened, and numbered where they would read alike."""
    short = [shortened(name, LEGEND_INCHES, LEGEND_POINTS) for name in names]
    counts, seen = Counter(short), Counter[str]()
    entries = []
    for entry in short:
        seen[entry] += 1
        entries.append(f"{entry} ({seen[entry]})" if counts[entry] > 1 else entry)
    return entries


def width(label: str, points: float = LEGEND_POINTS) -> float:
    """The width in inches at which matplotlib sets a label."""
    is_math = cbook.is_math_text(label)
    shown = label if is_math else label.replace(r"\$", "$")
    font = FontProperties(size=points)
    size, _, _ = text_to_path.get_text_width_height_descent(shown, font, ismath=bool(is_math))
    return float(size) / _POINTS_PER_INCH


def _most_letters(inches: float, points: float) -> int:
    """About the number of letters that fit into the inches."""
    return int(inches / width(_NARROW, points))


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


@functools.cache
def _characters(font: str) -> frozenset[int]:
    """The code points of the characters that a font file has."""
    return frozenset(get_font(font).get_charmap())
