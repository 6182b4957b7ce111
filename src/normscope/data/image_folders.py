"""Folders of pictures, read with Pillow: a class a sub-folder.

Two layouts are read.

- ``train/`` or ``training/``, and one of ``val/``, ``validation/``, ``valid/``, ``test/``, ``testing/`` (the first of
  these that is there), in small or capital letters, each with one sub-folder for each class.
- One sub-folder for each class, without a split. Then every fifth picture of a class, in the order of their paths, is
  for validation: picture i, counted from 0, if i mod 5 = 4.

Classes are numbered in the alphabetical order of their folders. In both splits they alternate (the first picture of
every class, the second of every class, …), so that the first n pictures are nearly balanced.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from normscope.data.contents import Contents
from normscope.data.users_files import open_file
from normscope.errors import DataError, said

if TYPE_CHECKING:
    from PIL.Image import Image

_TRAINING = ("train", "training")
_VALIDATION = ("val", "validation", "valid", "test", "testing")
_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".tga"}
)
_GREY = ("1", "L")
_COLOUR = ("RGB", "P", "RGBA", "LA", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX")
_VALIDATION_SHARE = 5

# Pillow has formats that run another program, such as EPS. The content decides, not the name.
_FORMATS = frozenset(
    {
        "PNG",
        "JPEG",
        "BMP",
        "DIB",
        "GIF",
        "WEBP",
        "TIFF",
        "PPM",
        "TGA",
        "AVIF",
        "JPEG2000",
        "MPO",
        "PCX",
        "ICO",
    }
)

# Of all pictures together. A byte of a picture's file may stand for a million of its pixels.
_ALWAYS_ALLOWED = 2**30
_TIMES_THEIR_LENGTH = 1_000


@dataclasses.dataclass(frozen=True)
class ImageFolder:
    """The pictures of a folder, found but not opened.

    Attributes:
        classes: the names of the classes, in the order of their labels.
        splits: the pictures of ``train`` and ``validation``, each with its label.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, Sequence[tuple[Path, int]]]

    @classmethod
    def find(cls, folder: Path) -> ImageFolder:
        """The pictures in and below a folder.

        Raises:
            DataError: the folder does not exist, has neither layout, or a class has no pictures.
        """
        parts = _folders(folder)
        train, validation = _named(parts, _TRAINING), _named(parts, _VALIDATION)
        if train and validation:
            return cls._of_split(train, validation)
        _check_classes(folder, parts)
        found = {"train": [], "validation": []}  # type: dict[str, list[list[Path]]]
        for path in parts.values():
            pictures = _pictures(path, least=_VALIDATION_SHARE)
            is_last = [number % _VALIDATION_SHARE == _VALIDATION_SHARE - 1 for number in range(len(pictures))]
            found["validation"].append(list(itertools.compress(pictures, is_last)))
            found["train"].append([one for one, last in zip(pictures, is_last, strict=True) if not last])
        return cls(tuple(parts), {split: _alternating(lists) for split, lists in found.items()})

    @classmethod
    def _of_split(cls, train: Path, validation: Path) -> ImageFolder:
        classes, others = _folders(train), _folders(validation)
        _check_classes(train, classes)
        if unknown := [name for name in others if name not in classes]:
            raise DataError(f"{validation} holds the class {unknown[0]!r}, which {train} does not have.")
        chosen = {train: classes, validation: {name: validation / name for name in classes if name in others}}
        lists = [
            [_pictures(paths[name]) if name in paths else [] for name in classes] for paths in chosen.values()
        ]
        if not any(lists[1]):
            raise DataError(f"{validation} holds no sub-folder of a class: at least one is needed.")
        return cls(tuple(classes), {"train": _alternating(lists[0]), "validation": _alternating(lists[1])})

    def paths(self) -> tuple[Path, ...]:
        """Every picture."""
        return tuple(path for split in self.splits.values() for path, _ in split)

    def read(self) -> Contents:
        """The pixels, uint8 (N, 1, H, W) if every picture is grey, else (N, 3, H, W), and the labels.

        Transparency is left out.

        Raises:
            DataError: a picture cannot be read, has more than 8 bits for each channel, or differs in size from the
                first.
        """
        colour = self._check_pictures()
        arrays = {
            split: (
                np.stack([_read(path, colour) for path, _ in found]),
                np.array([label for _, label in found]),
            )
            for split, found in self.splits.items()
        }
        return Contents(arrays["train"], arrays["validation"], len(self.classes))

    def _check_pictures(self) -> bool:
        """Whether any picture has colours, from the pictures' headers."""
        colour, first, length = False, None, 0
        for path in self.paths():
            with _opened(path) as picture:
                length += path.stat().st_size
                _check_mode(picture, str(path))
                if picture.size != (first := first or picture.size):
                    sizes = "{}×{} pixels, but the first picture is {}×{}".format(*picture.size, *first)
                    raise DataError(f"{path} has {sizes}: all must have one size.")
                colour |= picture.mode not in _GREY
        size = len(self.paths()) * math.prod(first or ()) * (3 if colour else 1)
        if size > _ALWAYS_ALLOWED + _TIMES_THEIR_LENGTH * length:
            raise DataError(
                f"the pictures take {size:,} bytes of memory, too many for files of {length:,} bytes in all: if they "
                "are meant so, save them as .bmp."
            )
        return colour


def pixels(picture: Image, words: str, colour: bool | None = None) -> np.ndarray:
    """A picture of Pillow's as uint8, (1, H, W) or (3, H, W).

    Args:
        picture: the picture.
        words: what an error calls it.
        colour: whether there are three channels; by default as the picture has it.

    Raises:
        DataError: the picture has more than 8 bits for each channel: converting would cut them off.
    """
    _check_mode(picture, words)
    if colour is None:
        colour = picture.mode not in _GREY
    array = np.asarray(picture.convert("RGB" if colour else "L"))
    return array.transpose(2, 0, 1) if colour else array[None]


def _check_mode(picture: Image, words: str) -> None:
    if picture.mode not in (*_GREY, *_COLOUR):
        raise DataError(f"{words} has pixels of the kind {picture.mode}: 8 bits for each channel are needed.")


def _read(path: Path, colour: bool) -> np.ndarray:
    with _opened(path) as picture:
        return pixels(picture, str(path), colour)


@contextmanager
def _opened(path: Path) -> Iterator[Image]:
    """A picture; whatever Pillow raises on it is one sentence."""
    from PIL import Image, UnidentifiedImageError

    Image.init()
    try:
        with open_file(path) as file, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=sorted(_FORMATS & Image.OPEN.keys())) as picture:
                yield picture
    except (DataError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        most = f"{Image.MAX_IMAGE_PIXELS or 0:,}"
        raise DataError(f"{path} announces more than {most} pixels, too many for a picture.") from None
    except UnidentifiedImageError:
        raise DataError(f"{path} cannot be read as a picture (it is of no format that is read).") from None
    except OSError as error:
        words = (
            f"cannot be read ({error.strerror})" if error.errno else f"is a damaged picture ({said(error)})"
        )
        raise DataError(f"{path} {words}.") from None
    except Exception as error:  # Pillow's readers raise almost anything for damaged files
        raise DataError(f"{path} is a damaged picture ({said(error)}).") from None


def _folders(folder: Path) -> dict[str, Path]:
    """The sub-folders by name, in alphabetical order; hidden ones are left out."""
    try:
        found = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError as error:
        raise DataError(
            f"{folder} cannot be read ({error.strerror or error}): name a folder of pictures."
        ) from None
    return {path.name: path for path in sorted(found, key=lambda path: path.name)}


def _named(parts: Mapping[str, Path], words: Sequence[str]) -> Path | None:
    """The sub-folder that has the first of the names, in small or capital letters."""
    folded = {name.lower(): path for name, path in parts.items()}
    return next((folded[word] for word in words if word in folded), None)


def _check_classes(folder: Path, classes: Mapping[str, Path]) -> None:
    for name, path in classes.items():  # "Training set" and the like would pass for a class
        if "train" in name.lower() and len(_folders(path)) > 1 and not _has_pictures(path):
            raise DataError(
                f"{path} holds sub-folders only, as a training split does: name it train and the other "
                f"{', '.join(_VALIDATION[:-1])} or {_VALIDATION[-1]}, or give the folder of one split."
            )
    if len(classes) < 2:
        raise DataError(
            f"{folder} holds {len(classes)} sub-folders: a sub-folder for each of two or more classes is needed, "
            "or train/ and val/ with these."
        )


def _pictures(folder: Path, least: int = 1) -> list[Path]:
    """The pictures in and below a class's folder, in the order of their paths; hidden files are left out."""
    found = sorted(_walk(folder), key=lambda path: path.parts)
    if len(found) < least:
        raise DataError(
            f"{folder} holds {len(found)} pictures: each class needs {least} or more"
            + (", so that one is for validation." if least > 1 else ".")
        )
    return found


def _walk(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder, onerror=_refuse_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (path for path in (Path(where, name) for name in names) if _is_picture(path))


def _is_picture(path: Path) -> bool:
    """Whether a path has a picture's name. A broken link has it, too, so that reading complains; a pipe does not."""
    is_named = path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    return is_named and (path.is_file() or not path.exists())


def _has_pictures(folder: Path) -> bool:
    return any(_is_picture(path) for path in folder.iterdir())


def _refuse_unreadable(error: OSError) -> None:
    raise DataError(
        f"{error.filename} cannot be read ({error.strerror}): its pictures would be missing."
    ) from None


def _alternating(lists: Sequence[Sequence[Path]]) -> list[tuple[Path, int]]:
    """The first picture of every class with its label, then the second of every class, and so on."""
    rounds = itertools.zip_longest(*lists)
    return [(path, label) for turn in rounds for label, path in enumerate(turn) if path is not None]
