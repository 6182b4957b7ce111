"""A text as a cell of a CSV file that no spreadsheet takes for a formula, whichever separator it is set to."""

from __future__ import annotations

import re

from normscope.errors import printable

_SIGNS = frozenset("=+-@\N{MINUS SIGN}＝＋－＠﹦﹢﹣﹫")
"""What a formula begins with. Some spreadsheets take a full-width or a small sign for the plain one."""

BREAKS = "\t\r\n"
"""The control characters that a cell may have."""

_SEPARATORS = (*BREAKS, ";")
"""What may end a cell: a spreadsheet whose cells end at ``;`` does not see the quotes of cells that end at commas."""

_SPACE = '[\\s;"\u00ad\u200b-\u200d\u2060\ufeff]'
"""What a formula may follow: spaces, separators, quotes, and the characters without width."""

_GAP = re.compile(rf"\A{_SPACE}*|{_SPACE}+")
_NUMBER = re.compile(r"[-+−]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def as_cell(text: str) -> str:
    r"""The text with an apostrophe before every part that a spreadsheet would take for a formula.

    A formula begins with ``= + - @``, or with the full-width form of one, after spaces or none. It is at the start of
    the text, or after a tab, the end of a line or a ``;``. A text that begins with a tab or the end of a line gets an
    apostrophe, too; one that is a number stays. Control characters other than tabs and ends of lines, and lone
    surrogates, are written as escapes such as ``\x1b``.
    """
    if _NUMBER.fullmatch(text):
        return text
    text = printable(text, keep=BREAKS)

    def guarded(found: re.Match[str]) -> str:
        """The text's start or a gap in it, with an apostrophe where a formula begins."""
        gap, is_formula = found[0], text[found.end() : found.end() + 1] in _SIGNS
        last = max(map(gap.rfind, _SEPARATORS)) + 1
        if is_formula and last:
            gap = f"{gap[:last]}'{gap[last:]}"
        is_first = found.start() == 0 and (is_formula or any(character in gap for character in BREAKS))
        return f"'{gap}" if is_first else gap

    return _GAP.sub(guarded, text)
