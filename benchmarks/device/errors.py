"""How far the numbers of a device are from the CPU's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from torch import Tensor


def largest(found: object, wanted: object) -> float:
    """The largest difference between two arrays in units of the largest number that is wanted.

    Where one has a value that is not finite, the other must have the same; otherwise the difference is infinite.
    """
    ours, theirs = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    if ours.shape != theirs.shape:
        return math.inf
    finite = np.isfinite(theirs)
    if (
        not np.array_equal(ours[~finite], theirs[~finite], equal_nan=True)
        or not np.isfinite(ours[finite]).all()
    ):
        return math.inf
    if not finite.any():
        return 0.0
    scale = np.abs(theirs[finite]).max()
    return float(np.abs(ours - theirs)[finite].max() / (scale or 1.0))


def of_tensors(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> float:
    """The largest error among tensors of the same names."""
    assert found.keys() == wanted.keys()
    return max(largest(found[name].cpu().double(), wanted[name].cpu().double()) for name in wanted)


def of_columns(found: pd.DataFrame, wanted: pd.DataFrame, left_out: Iterable[str] = ()) -> float:
    """The largest error among the columns of an instrument's table. Words must be the same; notes are not compared."""
    if len(found) != len(wanted) or list(found) != list(wanted):
        return math.inf
    errors = [0.0]
    for name in wanted.columns.difference(["note", *left_out]):
        if pd.api.types.is_numeric_dtype(wanted[name]):
            errors.append(largest(_numbers(found[name]), _numbers(wanted[name])))
        else:
            errors.append(0.0 if found[name].equals(wanted[name]) else math.inf)
    return max(errors)


def _numbers(column: pd.Series) -> np.ndarray:
    return column.astype("Float64").to_numpy(np.float64, na_value=np.nan)


def of_rows(found: pd.DataFrame, wanted: pd.DataFrame) -> float:
    """The largest error among the measures of a cell's rows.

    The share of images that are wrong is compared in its own unit: one image more or less is no fault.
    """
    keys = [name for name in wanted.columns if name != "value"]
    if not found[keys].equals(wanted[keys]):
        return math.inf
    errors = []
    for measure, rows in wanted.groupby("measure"):
        ours = found.loc[rows.index, "value"]
        is_share = str(measure).endswith(("error", "share_above")) or str(measure).startswith("rise")
        errors.append((ours - rows["value"]).abs().max() if is_share else largest(ours, rows["value"]))
    return float(max(errors))
