"""CIFAR-10's binary files, raw or gzipped; their structure is checked.

A file is a sequence of records: one byte for the label, then the bytes of an image's red, green and blue pixels, each
row by row (Krizhevsky 2009, www.cs.toronto.edu/~kriz/cifar.html).
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from normscope.data.entry import Entry, OfficialFile
from normscope.data.published import refuse_foreign
from normscope.data.users_files import open_file
from normscope.errors import DataError

if TYPE_CHECKING:
    import numpy as np

_GZIP_MAGIC = b"\x1f\x8b"  # no label of ten classes, so no raw file begins so


def read(entry: Entry, paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """The images and labels of a data set from its binary files, the last of which holds the test images.

    Fewer images in a file than were published are accepted, so that subsets can be used, but not more. Files that are
    published as another one of the data set are refused.

    Args:
        entry: the data set, with the files that are here.
        paths: their paths, in the entry's order.

    Returns:
        uint8 arrays: images (N, C, H, W) and labels (N,), by the name of their field in ``DataSet``.

    Raises:
        DataError: naming the file, if it is not what its name says.
    """
    import numpy as np

    arrays: dict[str, np.ndarray] = {}
    records = [_records(entry, file, path) for file, path in zip(entry.files, paths, strict=True)]
    for split, parts in (("train", records[:-1]), ("test", records[-1:])):
        arrays[f"{split}_labels"] = np.concatenate([part[:, 0] for part in parts])
        arrays[f"{split}_images"] = np.concatenate([part[:, 1:] for part in parts]).reshape(-1, *entry.shape)
    refuse_foreign(entry, paths)
    return arrays


def _records(entry: Entry, file: OfficialFile, path: Path) -> np.ndarray:
    """The records of one file, uint8 (N, 1 + pixels)."""
    import numpy as np

    length = 1 + math.prod(entry.shape)
    kind = f"records of {length:,} bytes, a label and an image of {'×'.join(map(str, entry.shape))}"
    content = _content(path, file.size, kind)
    if len(content) > file.size:
        raise DataError(
            f"{path} holds more than the {file.size // length:,} images that were published: a subset has fewer."
        )
    if not content:
        raise DataError(f"{path} is empty; expected {kind}.")
    if rest := len(content) % length:
        raise DataError(
            f"{path} is truncated or no file of {entry.name}: {rest:,} bytes follow its last whole record; "
            f"expected {kind}."
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, length)
    if (largest := int(records[:, 0].max())) >= entry.classes:
        raise DataError(f"{path} holds the label {largest}; expected labels from 0 to {entry.classes - 1}.")
    return records


def _content(path: Path, most: int, kind: str) -> bytes:
    """The uncompressed bytes of a file, but no more than one above ``most``."""
    try:
        with open_file(path) as file:
            # The content decides, not the name: some browsers unpack a download but keep the suffix .gz.
            compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            file.seek(0)
            if compressed:
                with gzip.GzipFile(fileobj=file) as stream:
                    return stream.read(most + 1)
            return file.read(most + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{path} is a truncated or corrupted gzip file; expected {kind}.") from None
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror or error}); expected {kind}.") from None
