"""Checks of the numbers that a layer's constructor is given."""

from __future__ import annotations

import math

from normscope.errors import InputError


def check_number(
    name: str, value: object, low: float, high: float = math.inf, *, infinite: bool = False
) -> None:
    """Refuse ``value`` unless it is a number in ``[low, high]``; infinity is allowed only with ``infinite``."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and low <= value <= high and (infinite or math.isfinite(value)):  # type: ignore[operator, arg-type]
        return
    allowed = f"in [{low:g}, {high:g}]" if math.isfinite(high) else f"of at least {low:g}"
    raise InputError(f"{name} must be a {'' if infinite else 'finite '}number {allowed}, not {value!r}.")


def check_count(name: str, value: object) -> None:
    """Refuse ``value`` unless it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{name} must be a whole number of at least 1, not {value!r}.")
