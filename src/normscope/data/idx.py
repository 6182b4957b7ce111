"""IDX files, the format of MNIST and its relatives, raw or gzipped; their structure is checked.

An IDX file is two zero bytes, a type code (8 for unsigned bytes), the number of dimensions, each dimension as a
big-endian 32-bit integer, then the entries with the last dimension fastest (LeCun, Cortes and Burges 1998).
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from normscope.data.entry import Entry
from normscope.data.published import refuse_foreign
from normscope.data.users_files import open_file
from normscope.errors import DataError

if TYPE_CHECKING:
    import numpy as np

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20

# Of a gzip file, whose length says little: 1 byte may stand for 1,032, and for 3 to 6 in files of images.
_ALWAYS_ALLOWED = 2**26
_TIMES_ITS_LENGTH = 32


def read(entry: Entry, paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """The images and labels of a data set from its four files.

    Fewer images than were published are accepted, so that subsets can be used, but not more; everything else must agree
    with the entry. Files that are published as part of another data set of the catalogue are refused.

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
        most = entry.train if split == "train" else entry.test
        images, labels = read_pair(images_path, labels_path, entry.shape[1:], most)
        if (largest := int(labels.max())) >= entry.classes:
            raise DataError(
                f"{labels_path} holds the label {largest}; expected labels from 0 to {entry.classes - 1}."
            )
        arrays[f"{split}_images"] = images.reshape(len(images), *entry.shape)
        arrays[f"{split}_labels"] = labels
    refuse_foreign(entry, paths)
    return arrays


def read_pair(
    images_path: Path, labels_path: Path, sides: tuple[int, ...] | None, most: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The images (N, H, W) of one file and the labels (N,) of another, uint8.

    Args:
        images_path: the file of the images.
        labels_path: the file of the labels.
        sides: height and width that the images must have; ``None`` allows any.
        most: how many images there may be; ``None`` allows any number.

    Raises:
        DataError: naming the file, if it is not what its name says.
    """
    images = _read_idx(images_path, "images", sides, most)
    labels = _read_idx(labels_path, "labels", (), most)
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} holds {len(images)} images but {labels_path} holds {len(labels)} labels: "
            "the numbers must agree."
        )
    return images, labels


def _read_idx(path: Path, content: str, sides: tuple[int, ...] | None, most: int | None) -> np.ndarray:
    """The entries of one IDX file as a uint8 array (count, *sides); images of any size if ``sides`` is None."""
    kind = f"an IDX file of {'×'.join(map(str, sides))} {content}" if sides else f"an IDX file of {content}"
    try:
        with open_file(path) as file:
            # The content decides, not the name: some browsers unpack a download but keep the suffix .gz.
            compressed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            stream = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if compressed else file
            shape = _shape(path, stream, kind, sides)
            if most is not None and shape[0] > most:
                raise DataError(
                    f"{path} announces {shape[0]} {content}: {most} were published, a subset has fewer."
                )
            length = os.fstat(file.fileno()).st_size
            _check_size(path, math.prod(shape), length if compressed else length - file.tell(), compressed)
            return _entries(path, stream, math.prod(shape)).reshape(shape)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{path} is a truncated or corrupted gzip file; expected {kind}.") from None
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror or error}); expected {kind}.") from None


def _shape(path: Path, stream: IO[bytes], kind: str, sides: tuple[int, ...] | None) -> tuple[int, ...]:
    """The number of entries and their sides, as the header announces them."""
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
    return count, *found


def _check_size(path: Path, announced: int, length: int, compressed: bool) -> None:
    """Refuse a header that announces more than a file of this length can hold, before memory is taken for it."""
    if not compressed and announced > length:
        raise _truncated(path, announced, length)
    if compressed and announced > _ALWAYS_ALLOWED + _TIMES_ITS_LENGTH * length:
        raise DataError(
            f"{path} announces {announced:,} bytes of entries, too many for a gzip file of {length:,} bytes: if they "
            "are there, unpack it first."
        )


def _entries(path: Path, stream: IO[bytes], announced: int) -> np.ndarray:
    """The entries; the array's memory is taken as they arrive."""
    import numpy as np

    entries, size = np.empty(announced, np.uint8), 0
    while size < announced and (piece := stream.read(min(_CHUNK, announced - size))):
        entries[size : size + len(piece)] = np.frombuffer(piece, np.uint8)
        size += len(piece)
    if size < announced:
        raise _truncated(path, announced, size)
    if stream.read(1):
        raise DataError(f"{path} has more than the {announced} bytes of entries that its header announces.")
    return entries


def _truncated(path: Path, announced: int, follow: int) -> DataError:
    return DataError(
        f"{path} is truncated: its header announces {announced} bytes of entries, {follow} follow."
    )
