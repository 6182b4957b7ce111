"""The words for a row of the scorecard: its verdict, its measured numbers and their intervals, as people read them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from normscope.protocol import IDENTITY, Verdict

MARKS = {Verdict.HOLDS: "✓", Verdict.FAILS: "✗", Verdict.UNDECIDED: "?", Verdict.NOT_JUDGED: "–"}
"""The sign of each verdict, in the order in which verdicts are listed."""

_SHARES = ("error", "accuracy")
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_DIGITS = 4
_INTERVAL_DIGITS = range(3, 7)
_BOUND_DIGITS = 3
_SIGNS = {"least": "≥", "above": ">", "most": "≤", "below": "<"}


class MeasuredNumber(NamedTuple):
    """A measured number in words.

    Attributes:
        name: what it is.
        value: the number.
        interval: its 95 % interval over seeds, such as ``"[1.31, 1.63]"``; empty for a number without one.
        published: the source's own number; empty where the source gives none.
    """

    name: str
    value: str
    interval: str = ""
    published: str = ""

    @property
    def words(self) -> str:
        """The number, followed by its interval where it has one."""
        return f"{self.value} {self.interval}".rstrip()


def verdict(row: Mapping[str, Any]) -> Verdict:
    """The verdict of a row.

    A row that was written before claims could be undecided has no verdict; its ``holds`` says it.
    """
    older = {True: Verdict.HOLDS, False: Verdict.FAILS, None: Verdict.NOT_JUDGED}
    return Verdict(row["verdict"]) if "verdict" in row else older[row["holds"]]


def tally(verdicts: Iterable[Verdict]) -> dict[Verdict, str]:
    """The number of claims of each verdict in words, such as ``"22 hold"``; a verdict that no claim has is left out."""
    counts = Counter(verdicts)
    plural = {Verdict.HOLDS: "hold", Verdict.FAILS: "do not hold"}
    return {
        word: f"{count} {plural.get(word, word) if count > 1 else word}"
        for word in MARKS
        if (count := counts[word])
    }


def measured_numbers(row: Mapping[str, Any]) -> list[MeasuredNumber]:
    """The measured numbers of a row in words: four significant digits, and shares in percent.

    A number is a share when its name begins with the word ``error`` or ``accuracy`` and is not a ratio (``A / B``).
    A number with an interval has three digits, or as many as tell it from the interval's ends. A number that the source
    gives and that was not measured follows, with ``–`` as its value.

    Args:
        row: a row of the scorecard; its numbers are read by :func:`as_number`. A row that was written before claims had
            intervals has none, and one that was written before claims had published numbers has none of these.
    """
    intervals, published = row.get("interval", {}), row.get("published", {})
    sources = {name: in_words(name, as_number(value)) for name, value in published.items()}
    numbers = [
        with_interval(name, as_number(value), *map(as_number, intervals[name]))
        if name in intervals
        else MeasuredNumber(name, in_words(name, as_number(value)))
        for name, value in row["measured"].items()
    ]
    missing = [MeasuredNumber(name, "–") for name in sources if name not in row["measured"]]
    return [number._replace(published=sources.get(number.name, "")) for number in (*numbers, *missing)]


def deciding_number(row: Mapping[str, Any]) -> MeasuredNumber | None:
    """The number that decided a row's claim, followed by the range that the claim wants; ``None`` without numbers.

    A claim that no interval decides, such as a law, shows its first number; so does a row of an older version. A claim
    that holds by identity says so in place of a number.
    """
    if not row["measured"]:
        return None
    name = row.get("deciding", "")
    if name not in row["measured"] or name not in row.get("interval", {}):
        return measured_numbers(row)[0]
    if row["reason"].startswith(IDENTITY):
        return MeasuredNumber(name, "by identity")
    bounds = {side: as_number(end) for side, end in row.get("bounds", {}).get(name, {}).items()}
    ends = map(as_number, row["interval"][name])
    number = with_interval(name, as_number(row["measured"][name]), *ends, *bounds.values())
    return number._replace(interval=f"{number.interval} {wanted(name, bounds)}".rstrip())


def wanted(name: str, bounds: Mapping[str, float]) -> str:
    """The range of that name's number, given as :attr:`Comparison.bounds`, in signs: ``≤ 1.25``, ``in 0.8…1.25``."""
    words = {side: in_words(name, end, _BOUND_DIGITS) for side, end in bounds.items()}
    if len(words) > 1:
        return f"in {'…'.join(words.values())}"
    return " ".join(f"{_SIGNS[side]} {end}" for side, end in words.items())


def as_number(value: Any) -> float:
    """A value of a scorecard's row as a number, whatever it is: NaN when it is none.

    Non-finite numbers may be texts, as ``scorecard.json`` has them. An integer beyond the range of floats is infinite,
    as Python reads ``1e400``.
    """
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        return math.nan


def with_interval(name: str, value: float, low: float, high: float, *bounds: float) -> MeasuredNumber:
    """The number of that name with the interval from ``low`` to ``high``, as :func:`measured_numbers` writes it.

    It has as many digits as tell it and the ends of its interval from one another, and from the given bounds.
    """
    numbers = (value, low, high, *bounds)
    for digits in _INTERVAL_DIGITS:
        words = [in_words(name, number, digits) for number in numbers]
        if len(set(words)) == len(set(numbers)):
            break
    return MeasuredNumber(name, words[0], f"[{words[1]}, {words[2]}]")


def in_words(name: str, value: float, digits: int = _DIGITS) -> str:
    """The number of that name with so many significant digits, as :func:`measured_numbers` writes it."""
    is_share = name.partition(" ")[0] in _SHARES and "/" not in name
    shown = 100 * value if is_share else value
    if math.isnan(shown):
        return "NaN"
    if math.isinf(shown):
        return "∞" if shown > 0 else "−∞"
    return _rounded(shown, digits) + ("\N{NO-BREAK SPACE}%" if is_share else "")


def _rounded(value: float, digits: int) -> str:
    """Significant digits: written out from 0.0001 to 999,999, and with a power of ten outside that range."""
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if -4 <= power < 6:
        written = f"{value:,.{max(0, digits - 1 - power)}f}"
        return _trim(written).replace("-", "−")
    return f"{_trim(mantissa)}×10{str(power).translate(_SUPERSCRIPTS)}".replace("-", "−")


def _trim(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
