"""Arguments of closed forms, checked."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from normscope.errors import InputError


def real_numbers(name: str, values: ArrayLike, what: str) -> NDArray[np.float64]:
    """The values as float64.

    Args:
        name: the argument's name.
        values: numbers of any real type.
        what: what they must be, such as ``"a matrix of real numbers"``.

    Raises:
        InputError: for what is complex, no numbers, or a tensor that needs a gradient.
    """
    try:
        if np.iscomplexobj(values):
            raise TypeError
        return np.asarray(values, dtype=np.float64)
    except (
        TypeError,
        ValueError,
        OverflowError,
        RuntimeError,
    ):  # the last for a tensor that needs a gradient
        raise InputError(f"{name} must be {what}.") from None
