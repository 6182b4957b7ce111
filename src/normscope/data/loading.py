"""Data sets by name: load them, identify them, see whether they are at hand, fetch them."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from normscope.data.cache import Prepared, given, prepared
from normscope.data.cache import portable as portable_files
from normscope.data.catalogue import CATALOGUE, Entry, entry_of
from normscope.data.downloads import Progress, download
from normscope.data.locations import Source, find
from normscope.errors import DataError

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class DataSet:
    """The images and labels of one data set.

    Args:
        name: its name in the catalogue.
        train_images: uint8, (N, C, H, W); like the other three a read-only memory map of a file in the cache,
            so that all processes that load the data set share its pages.
        train_labels: uint8, (N,).
        test_images: uint8, (N, C, H, W).
        test_labels: uint8, (N,).
        mean: of each channel, pixels scaled to 0 … 1.
        std: of each channel, pixels scaled to 0 … 1.
        digest: SHA-256 (hexadecimal) of the four arrays, the same wherever and however the files lie.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str

    @property
    def official(self) -> bool:
        """Whether images and labels are exactly the published ones, all of them in their order."""
        return self.digest == CATALOGUE[self.name].digest


def load(name: str, progress: Progress | None = None) -> DataSet:
    """Load a data set from where it is: a package, ``$NORMSCOPE_DATA``, earlier downloads, or the network.

    The first load of a data set reads its files and keeps the arrays in the cache; every later one, in any
    process, maps them.

    Args:
        name: a name in the catalogue.
        progress: called with a file's name, bytes so far and bytes in all while something is downloaded.

    Raises:
        UnknownNameError: no such data set.
        DataError: its files are missing and cannot be downloaded, or are not what their names say.
    """
    entry = entry_of(name)
    found = _present(entry, progress)
    return DataSet(entry.name, **found.arrays, mean=entry.mean, std=entry.std, digest=found.digest)


def digest(name: str, *, offline: bool = False) -> str:
    """The digest of a data set, as in :class:`DataSet`; costs milliseconds once the data set has been loaded.

    Args:
        name: of the data set.
        offline: give the published digest of a data set that is not here, instead of downloading it.

    Raises:
        UnknownNameError, DataError: as :func:`load`.
    """
    entry = entry_of(name)
    if offline and not available(name)[0]:
        return entry.digest
    return _present(entry, None).digest


def portable(name: str) -> dict[str, Path]:
    """The files that make up a data set on another machine, by the names they are to have there.

    In a folder that ``NORMSCOPE_ARRAYS`` names on that machine, they are the data set that :func:`load` gives, bit for
    bit, whatever else that machine has under the name.

    Raises:
        UnknownNameError, DataError: as :func:`load`.
    """
    entry = entry_of(name)
    return portable_files(entry.name, _present(entry, None))


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Make a data set ready for use without a network, verifying what the cache holds of it.

    Args:
        name: a name in the catalogue.
        progress: as in :func:`load`.

    Returns:
        The folder its files are read from; where a package ships it, the folder of its prepared arrays.

    Raises:
        UnknownNameError, DataError: as :func:`load`.
    """
    entry = entry_of(name)
    source = _find_or_download(entry, progress)
    found = _prepared(entry, source, verify=True)
    return source.paths[0].parent if source.paths else found.folder


def available(name: str) -> tuple[bool, str]:
    """Whether a data set can be loaded right now without a network, and where from, or what is missing.

    Looks for its files; whether they are what their names say is seen when they are loaded.

    Raises:
        UnknownNameError: no such data set.
    """
    entry = entry_of(name)
    try:
        source = find(entry)
    except DataError as error:
        return False, str(error)
    if source:
        return True, source.sentence
    megabytes = sum(file.size_gz for file in entry.files) / 1e6
    return False, f"not here: `normscope data fetch {entry.name}` downloads its {megabytes:.0f} MB"


def _find_or_download(entry: Entry, progress: Progress | None) -> Source:
    if source := find(entry):
        return source
    folder = download(entry, progress)
    if source := find(entry):
        return source
    raise DataError(f"the files of {entry.name} vanished from {folder} after their download: load it again.")


def _present(entry: Entry, progress: Progress | None) -> Prepared:
    """What another machine has given this one, or else what this machine has or can download."""
    return given(entry.name) or _prepared(entry, _find_or_download(entry, progress))


def _prepared(entry: Entry, source: Source, verify: bool = False) -> Prepared:
    def read() -> Mapping[str, np.ndarray]:
        module, _, function = entry.reader.partition(":")
        arrays: Mapping[str, np.ndarray] = getattr(importlib.import_module(module), function)(
            entry, source.paths
        )
        return arrays

    return prepared(entry.name, source, read, verify)
