"""The scorecard: ``scorecard.json``, every claim with what this machine measured, kept up to date run by run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from normscope.errors import InputError
from normscope.protocol import VERDICTS
from normscope.report.files import write_text

_NAME = "scorecard.json"
_FIELDS = (
    "experiment",
    "claim",
    "text",
    "source",
    "expected",
    "measured",
    "holds",
    "reason",
    "scale",
    "seeds",
)
_SHARES = ("error", "accuracy")
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def read_scorecard(folder: Path) -> list[dict[str, Any]]:
    """The rows of a folder's scorecard; none when it has no scorecard yet.

    Raises:
        InputError: when the file is there but is not a scorecard.
    """
    path = folder / _NAME
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(row, dict) and set(_FIELDS) <= set(row) for row in rows):
            raise ValueError("rows lack fields")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path} is not a normscope scorecard ({error}); move it away and run again."
        ) from error
    return list(rows)


def update_scorecard(
    folder: Path, rows: Iterable[dict[str, Any]], order: Sequence[str]
) -> list[dict[str, Any]]:
    """Put rows in their places by (experiment, claim); other rows stay as they are.

    Args:
        folder: the results folder.
        rows: the new rows.
        order: the experiments' names in the order in which they are to stand; unknown ones come last.

    Returns:
        The whole scorecard.
    """
    with FileLock(folder / f".{_NAME}.lock"):
        merged = {(row["experiment"], row["claim"]): row for row in read_scorecard(folder)}
        merged |= {(row["experiment"], row["claim"]): {name: row[name] for name in _FIELDS} for row in rows}
        places = {id: place for place, id in enumerate(order)}
        card = sorted(merged.values(), key=lambda row: places.get(row["experiment"], len(places)))
        write_text(folder / _NAME, json.dumps(card, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return card


def verdict(row: Mapping[str, Any]) -> str:
    """``"holds"``, ``"does not hold"`` or ``"not judged"``."""
    return VERDICTS[row["holds"]]


def measured_numbers(measured: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Measured numbers for a reader, each with its name: four digits, and shares in percent.

    A number is a share when the first word of its name is ``error`` or ``accuracy`` and it is no ratio (``A / B``).
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
    """Four significant digits, written out from 0.0001 to 999,999 and as a power of ten beyond."""
    mantissa, exponent = f"{value:.3e}".split("e")
    power = int(exponent)
    if -4 <= power < 6:
        digits = f"{value:,.{max(0, 3 - power)}f}"
        return _trim(digits).replace("-", "−")
    return f"{_trim(mantissa)}×10{str(power).translate(_SUPERSCRIPTS)}".replace("-", "−")


def _trim(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
