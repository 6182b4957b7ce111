"""Looks at the values of a JSON file, which may be anything: a list for a mapping, a number of 400 digits, null."""

from __future__ import annotations

import re
import sys
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")


def is_text(value: Any) -> bool:
    """Whether it is a text that a file can hold: one without lone surrogates."""
    return isinstance(value, str) and not _SURROGATE.search(value)


def is_text_list(value: Any) -> bool:
    """Whether it is a list of texts."""
    return isinstance(value, (list, tuple)) and all(map(is_text, value))


def is_text_mapping(value: Any) -> bool:
    """Whether it is an object whose names and values are texts."""
    return isinstance(value, dict) and all(map(is_text, (*value.keys(), *value.values())))


def is_number(value: Any) -> bool:
    """Whether it is a number that fits a float and is finite; true and false are no numbers."""
    is_real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_real and abs(value) <= sys.float_info.max


def is_count(value: Any) -> bool:
    """Whether it is a whole number of at least 1 that fits 64 bits."""
    return is_whole(value, 1)


def is_whole(value: Any, least: int = 0) -> bool:
    """Whether it is a whole number of at least ``least`` that fits 64 bits; true and false are no numbers."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63
