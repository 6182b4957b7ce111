"""The arrays of a user's data, whatever form they were given in."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Contents:
    """The arrays of a user's data, as they were returned or read.

    Attributes:
        train: inputs (N, ...) and labels or targets (N, ...).
        validation: likewise.
        classes: the number of classes if it was stated.
        standardize: whether floats and pixels are to be standardized.
    """

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    classes: int | None = None
    standardize: bool = True

    def splits(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Name, inputs and targets of both splits."""
        yield "train", *self.train
        yield "validation", *self.validation
