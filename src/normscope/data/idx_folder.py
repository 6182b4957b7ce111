"""A user's own folder of four IDX files, with images of any size and any number of classes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from normscope.data.contents import Contents
from normscope.data.idx import read_pair
from normscope.data.locations import variant
from normscope.errors import DataError

_NAMES = (
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)


@dataclasses.dataclass(frozen=True)
class IdxFolder:
    """The four files of a folder: training images and labels, then test images and labels."""

    files: tuple[Path, Path, Path, Path]

    @classmethod
    def find(cls, folder: Path) -> IdxFolder:
        """The files under the names that MNIST gives them, raw or gzipped.

        Raises:
            DataError: naming the file that is missing.
        """
        found = []
        for name in (name for pair in _NAMES for name in pair):
            path = variant(folder, name)
            if path is None:
                raise DataError(f"{folder} holds no {name} (nor {name}.gz): all four IDX files are needed.")
            found.append(path)
        return cls((found[0], found[1], found[2], found[3]))

    def paths(self) -> tuple[Path, ...]:
        """The four files."""
        return self.files

    def read(self) -> Contents:
        """Images (N, 1, H, W) and labels.

        Raises:
            DataError: naming the file, if it is not what its name says.
        """
        pairs = (read_pair(images, labels, None) for images, labels in (self.files[:2], self.files[2:]))
        train, validation = ((images[:, None], labels) for images, labels in pairs)
        return Contents(train, validation)
