"""The figure of an instrument's table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from normscope.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SPECTRUM = ("lambda_min", "lambda_max", "lr_bound")
_MOMENTS = ("channel", "mean", "variance", "power")
_FEW = 6
_KNOWN = "a table of ns.probes.spectrum, ns.probes.moments or SpectrumSampler"


def plot(table: pd.DataFrame) -> Figure:
    """A figure of an instrument's table by depth: a layer a row, in the order of the table, from the input down.

    Of a table of :func:`normscope.probes.spectrum`: the largest and the smallest eigenvalue of the autocorrelation R of
    each layer's input, in units of the input's power, and the bound ``2/(M λ_max)`` on the learning rate of gradient
    descent on ½ · squared error of that layer alone. Of a layer in groups, every group is a point, and the line joins
    the extremes. Of a table of :class:`normscope.probes.SpectrumSampler`, up to five steps spread over all of them, the
    later the darker.

    Of a table of :func:`normscope.probes.moments`: the power ``E[y²]`` of each channel of each layer's output y, as a
    heat map in which every layer is as wide as the panel, and the mean and standard deviation of each layer's output; a
    mean below a millionth of the deviation counts as 0.

    Axes and colours are logarithmic. A hollow marker at a panel's edge is 0 or infinite, a cross is a missing number;
    cells of the heat map that are 0, not finite or not measured have colours of their own.

    Args:
        table: the table, or rows of it.

    Raises:
        InputError: it is not such a table, has no rows, or has a channel's moments twice.

    Example:
        >>> ns.plot(ns.probes.spectrum(model, x)).savefig("spectrum.png")  # doctest: +SKIP
    """
    columns = _columns_of(table)
    numbers = _numbers(table, columns)
    if numbers.empty:
        raise InputError(f"ns.plot draws {_KNOWN}, and this one has no rows.")
    if "lambda_max" in columns:
        from normscope.report.depth.spectra import spectra_figure

        return spectra_figure(numbers)
    if numbers.duplicated(["layer", "channel"]).any():
        raise InputError(
            "the table has a channel of a layer twice: ns.plot draws the moments of one measurement."
        )
    from normscope.report.depth.moments import moments_figure

    return moments_figure(numbers)


def _columns_of(table: object) -> tuple[str, ...]:
    """The columns of numbers that a table's figure needs; a foreign table is refused."""
    if not isinstance(table, pd.DataFrame):
        raise InputError(f"ns.plot draws {_KNOWN}, not a {type(table).__name__}.")
    found = set(table.columns)
    for columns in (_SPECTRUM, _MOMENTS):
        if {"layer", *columns} <= found:
            return (*columns, "step") if columns == _SPECTRUM and "step" in found else columns
    shown = [repr(name) for name in table.columns[:_FEW]] + ["…"] * (len(table.columns) > _FEW)
    which = f"one with the columns {', '.join(shown)}" if shown else "one without columns"
    raise InputError(f"ns.plot draws {_KNOWN}, not {which}.")


def _numbers(table: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """The table with names as text and numbers as float64; rows of no step are left out.

    Raises:
        InputError: a column does not hold numbers.
    """
    changed: dict[str, Any] = {"layer": table["layer"].astype(str).to_numpy()}
    for column in columns:
        try:
            changed[column] = table[column].to_numpy(dtype=float, na_value=math.nan)
        except (TypeError, ValueError):
            raise InputError(
                f"ns.plot draws {_KNOWN}; the column {column!r} does not hold numbers."
            ) from None
    found = pd.DataFrame(changed)
    return found.dropna(subset="step") if "step" in columns else found
