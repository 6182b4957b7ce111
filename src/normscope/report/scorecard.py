"""The words for a row of the scorecard: its verdict and its measured numbers, as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from normscope.protocol import VERDICTS

_SHARES = ("error", "accuracy")
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def verdict(row: Mapping[str, Any]) -> str:
    """The verdict of a row: ``"holds"``, ``"does not hold"`` or ``"not judged"``."""
    return VERDICTS[row["holds"]]


def measured_numbers(measured: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pairs of a name and its number in words: four significant digits, and shares in percent.

    A number is a share when its name begins with the word ``error`` or ``accuracy`` and is not a ratio (``A / B``).

    Args:
        measured: numbers by name; non-finite ones may be texts, as ``scorecard.json`` has them.
    """
    return [(name, _in_words(name, float(value))) for name, value in measured.items()]


def _in_words(name: str, value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if name.partition(" ")[0] in _SHARES and "/" not in name:
        return f"{_four_digits(100 * value)}\N{NO-BREAK SPACE}%"
    return _four_digits(value)


def _four_digits(value: float) -> str:
    """Four significant digits: written out from 0.0001 to 999,999, and with a power of ten outside that range."""
    mantissa, exponent = f"{value:.3e}".split("e")
    power = int(exponent)
    if -4 <= power < 6:
        digits = f"{value:,.{max(0, 3 - power)}f}"
        return _trim(digits).replace("-", "−")
    return f"{_trim(mantissa)}×10{str(power).translate(_SUPERSCRIPTS)}".replace("-", "−")


def _trim(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
