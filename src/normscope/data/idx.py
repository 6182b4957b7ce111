"""IDX files, the format of MNIST and its relatives, raw or gzipped; their structure is checked.

An IDX file is two zero bytes, a type code (8 for unsigned bytes), the number of dimensions, each dimension as a
big-endian 32-bit integer, then the entries with the last dimension fastest (LeCun, Cortes and Burges 1998).
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from normscope.data.catalogue import Entry
from normscope.data.published import refuse_foreign
from normscope.errors import DataError

if TYPE_CHECKING:
    import numpy as np

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20


def read(entry: Entry, paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """The images and labels of a data set from its four files.

    Any number of images is accepted, so that subsets can be used; everything else must agree with the entry. Files
    that are published as part of another data set of the catalogue are refused.

    Args:
        entry: the data set.
        paths: the files of the training images, training labels, test images and test labels, in this order.

    Returns:
        uint8 arrays: images (N, C, H, W) and labels (N,), by the name of their field in ``DataSet``.

    Raises:
        DataError: naming the file, if it is not what its name says.
    """
    arrays: dict[str, np.ndarray] = {}
    for split, (images_path, labels_path) in (("train", paths[0:2]), ("test", paths[2:4])):
        images, labels = read_pair(images_path, labels_path, entry.shape[1:])
        if (largest := int(labels.max())) >= entry.classes:
            raise DataError(
                f"{labels_path} holds the label {largest}; expected labels from 0 to {entry.classes - 1}."
            )
        arrays[f"{split}_images"] = images.reshape(len(images), *entry.shape)
        arrays[f"{split}_labels"] = labels
    refuse_foreign(entry, paths)
    return arrays


def read_pair(
    images_path: Path, labels_path: Path, sides: tuple[int, ...] | None
) -> tuple[np.ndarray, np.ndarray]:
    """The images (N, H, W) of one file and the labels (N,) of another, uint8.

    Args:
        images_path: the file of the images.
        labels_path: the file of the labels.
        sides: height and width that the images must have; ``None`` allows any.

    Raises:
        DataError: naming the file, if it is not what its name says.
    """
    images = _read_idx(images_path, "images", sides)
    labels = _read_idx(labels_path, "labels", ())
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} holds {len(images)} images but {labels_path} holds {len(labels)} labels: "
            "the numbers must agree."
        )
    return images, labels


def _read_idx(path: Path, content: str, sides: tuple[int, ...] | None) -> np.ndarray:
    """The entries of one IDX file as a uint8 array (count, *sides); images of any size if ``sides`` is None."""
    import numpy as np

    kind = f"an IDX file of {'×'.join(map(str, sides))} {content}" if sides else f"an IDX file of {content}"
    try:
        with path.open("rb") as file:
            # The content decides, not the name: some browsers unpack a download but keep the suffix .gz.
            compressed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if compressed else file
            entries, found = _entries(path, stream, kind, sides)
            return np.frombuffer(entries, np.uint8).reshape(-1, *found)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{path} is a truncated or corrupted gzip file; expected {kind}.") from None
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror or error}); expected {kind}.") from None


def _entries(
    path: Path, stream: IO[bytes], kind: str, sides: tuple[int, ...] | None
) -> tuple[bytearray, tuple[int, ...]]:
    """The entries of a file, and the sides that its header names."""
    dimensions = 1 + len((0, 0) if sides is None else sides)
    magic = bytes((0, 0, 8, dimensions))
    header = stream.read(4 + 4 * dimensions)
    if not header:
        raise DataError(f"{path} is empty; expected {kind}.")
    if header[:4] != magic:
        raise DataError(
            f"{path} is not {kind}: it begins with the bytes {header[:4].hex(' ')}, not {magic.hex(' ')}."
        )
    if len(header) < 4 + 4 * dimensions:
        raise DataError(f"{path} is truncated within its header; expected {kind}.")
    count, *found = (int.from_bytes(header[i : i + 4], "big") for i in range(4, len(header), 4))
    if sides is not None and tuple(found) != sides:
        raise DataError(f"{path} holds images of {'×'.join(map(str, found))} pixels; expected {kind}.")
    if count * math.prod(found) == 0:
        raise DataError(f"{path} announces no entries; expected {kind}, at least one.")

    # Reading piece by piece, up to one byte more than announced, costs no memory if the header is wrong.
    announced = count * math.prod(found)
    entries = bytearray()
    while len(entries) <= announced and (piece := stream.read(min(_CHUNK, announced + 1 - len(entries)))):
        entries += piece
    if len(entries) < announced:
        raise DataError(
            f"{path} is truncated: its header announces {announced} bytes of entries, {len(entries)} follow."
        )
    if len(entries) > announced:
        raise DataError(f"{path} has more than the {announced} bytes of entries that its header announces.")
    return entries, tuple(found)
