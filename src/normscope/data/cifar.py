"""CIFAR-10's binary files: records of one label byte and 3,072 pixel bytes, red, green, blue, each row by row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from normscope.data.catalogue import Entry
from normscope.data.users_files import open_file
from normscope.errors import DataError


def read(entry: Entry, paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """The images and labels of a data set from its binary files, the last of which holds the test images.

    Args:
        entry: the data set.
        paths: the files, in the entry's order.

    Returns:
        uint8 arrays: images (N, 3, 32, 32) and labels (N,), by the name of their field in ``DataSet``.

    Raises:
        DataError: naming the file, if it is not what its name says.
    """
    arrays: dict[str, np.ndarray] = {}
    for split, files in (("train", paths[:-1]), ("test", paths[-1:])):
        records = np.concatenate([_records(entry, path) for path in files])
        arrays[f"{split}_labels"] = np.ascontiguousarray(records[:, 0])
        arrays[f"{split}_images"] = np.ascontiguousarray(records[:, 1:]).reshape(-1, *entry.shape)
    return arrays


def _records(entry: Entry, path: Path) -> np.ndarray:
    """The records of one file, uint8 (N, 1 + pixels)."""
    length = 1 + math.prod(entry.shape)
    try:
        with open_file(path) as file:
            content = np.frombuffer(file.read(), dtype=np.uint8)
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror or error}): check that file.") from None
    if not len(content) or len(content) % length:
        raise DataError(f"{path} has {len(content):,} bytes; expected records of {length:,} bytes each.")
    records = content.reshape(-1, length)
    if (largest := int(records[:, 0].max())) >= entry.classes:
        raise DataError(f"{path} holds the label {largest}; expected labels from 0 to {entry.classes - 1}.")
    return records
