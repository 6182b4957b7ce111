"""Data sets by name: load, identify, look for and fetch them.

A name is one of the catalogue's, or a user's own as :mod:`normscope.data.names` has it.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from normscope.data import cache, own
from normscope.data.array_files import Prepared
from normscope.data.catalogue import CATALOGUE, entry_of
from normscope.data.downloads import DownloadDamaged, Progress, download, verify
from normscope.data.entry import Entry
from normscope.data.facts import Facts
from normscope.data.failures import cannot_read, in_words
from normscope.data.locations import Source, find, given_archive
from normscope.data.names import OwnName, own_name
from normscope.data.published import is_official
from normscope.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class DataSet:
    """The inputs and labels of one data set.

    The four arrays are read-only memory maps of files in the cache, so all processes that load the data set share their
    memory. A user's own inputs need not be images; the fields keep their names.

    Attributes:
        name: its name in the catalogue, or the pinned name of a user's own data.
        train_images: uint8, (N, C, H, W), for images; else float32 or int64 (tokens), (N, ...).
        train_labels: unsigned or int64, (N, ...), for classes; float32 for a regression target.
        test_images: as the training inputs.
        test_labels: as the training labels.
        mean: mean of each channel over the training inputs, with pixels scaled to 0 … 1; empty for what is not
            standardized.
        std: standard deviation of each channel, likewise. Images are standardized when they are put into batches; a
            user's floats in these arrays already are.
        digest: SHA-256 (hexadecimal) of the contents, whatever the place and form of their files.
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
    def official(self) -> bool | None:
        """Whether images and labels are exactly the published ones; ``None`` where it cannot be told.

        :func:`normscope.data.published.is_official` says what is compared.
        """
        if self.name not in CATALOGUE:
            return False
        entry, train, test = CATALOGUE[self.name], len(self.train_labels), len(self.test_labels)
        return is_official(entry, self.digest, train, test)


@in_words
def load(name: str, progress: Progress | None = None) -> DataSet:
    """A data set from a package, from ``$NORMSCOPE_DATA``, from earlier downloads, or from the network.

    The first load reads the data set's files and keeps its arrays in the cache; every later load, in any process, maps
    these into memory. A user's own data are read each time, unless the name is pinned (:func:`pinned`).

    Args:
        name: a name in the catalogue, ``"module:loader"``, ``"idx:FOLDER"`` or ``"images:FOLDER"``.
        progress: called during a download with a file's name, its bytes so far and its total bytes.

    Raises:
        UnknownNameError: if there is no such data set.
        DataError: if its files are missing and cannot be downloaded, or are not what their names say.
        InputError: if a user's function fails, or returns what cannot be used.
    """
    if mine := own_name(name):
        prepared = own.prepared(mine)
        known, (mean, std) = own.described(mine, prepared)
        return DataSet(known.name, **prepared.arrays, mean=mean, std=std, digest=prepared.digest)
    entry = entry_of(name)
    found = _present(entry, progress)
    return DataSet(entry.name, **found.arrays, mean=entry.mean, std=entry.std, digest=found.digest)


@in_words
def pinned(name: str) -> str:
    """The name that means a data set's present contents, in this process and in all others.

    For a user's own data, these are read and kept in the cache, and the name gets ``#`` and the first digits of their
    digest; ``load`` then maps the arrays without running the user's code. Do so once per command, and hand the pinned
    name on. Any other name is returned as it is.

    Raises:
        UnknownNameError, DataError, InputError: as :func:`load`.
    """
    mine = own_name(name)
    return str(own.pin(mine)) if mine else entry_of(name).name


@in_words
def facts_of(name: str) -> Facts:
    """Shapes, number of examples and moments of a data set: the published ones for a name of the catalogue.

    Raises:
        UnknownNameError, DataError, InputError: as :func:`load`.
    """
    if mine := own_name(name):
        return own.described(mine, own.prepared(mine))[0]
    return Facts.of(entry_of(name))


@in_words
def digest(name: str, *, offline: bool = False) -> str:
    """The digest of a data set, as in :class:`DataSet`; it takes milliseconds once the data set has been loaded.

    Args:
        name: a name in the catalogue.
        offline: return the published digest of a data set that is not on this machine, instead of downloading it.

    Raises:
        UnknownNameError, DataError, InputError: as :func:`load`.
    """
    if mine := own_name(name):
        return own.prepared(mine).digest
    entry = entry_of(name)
    if offline and not _is_here(entry):
        return entry.digest
    return _present(entry, None).digest


@in_words
def portable(name: str) -> dict[str, Path]:
    """The files to send to another machine, by the names they must have there.

    If ``NORMSCOPE_ARRAYS`` names their folder on that machine, :func:`load` returns the same data set there, bit for
    bit, whatever else that machine has under the name.

    Raises:
        UnknownNameError, DataError, InputError: as :func:`load`.
    """
    if mine := own_name(name):
        mine = own.pin(mine)
        return cache.portable(own.file_stem(mine), own.prepared(mine))
    entry = entry_of(name)
    return cache.portable(entry.name, _present(entry, None))


@in_words
def fetch(name: str, progress: Progress | None = None) -> Path:
    """Prepare a data set for use without a network.

    Args:
        name: a name in the catalogue.
        progress: as in :func:`load`.

    Returns:
        the folder of its files; for a user's own data, or if a package ships the data set, the folder of its prepared
        arrays.

    Raises:
        UnknownNameError, DataError, InputError: as :func:`load`.
    """
    if mine := own_name(name):
        return own.prepared(mine).folder
    entry = entry_of(name)
    source = _find_or_download(entry, progress)
    found = _prepared(entry, source, progress)
    return source.paths[0].parent if source.paths else found.folder


def available(name: str) -> tuple[bool, str]:
    """Whether a data set can be loaded without a network, and a phrase that says from where or what is missing.

    Only the presence of its files is checked; loading checks their contents.

    Raises:
        UnknownNameError: if there is no such data set.
    """
    mine = own_name(name)
    try:
        return _available(mine) if mine else _available_entry(entry_of(name))
    except UnknownNameError:
        raise
    except DataError as error:
        return False, str(error)
    except OSError as error:
        return False, str(cannot_read(error))


def _available_entry(entry: Entry) -> tuple[bool, str]:
    if source := find(entry):
        return True, source.sentence
    if archive := given_archive(entry):
        return True, f"in {archive}"
    megabytes = sum(one.size for one in entry.downloads) / 1e6
    return False, f"not here: `normscope data fetch {entry.name}` downloads its {megabytes:.0f} MB"


def _is_here(entry: Entry) -> bool:
    """Whether there is a source.

    Raises:
        OSError: that cannot be seen now, which is no answer: what is kept goes by it.
    """
    try:
        return find(entry) is not None or given_archive(entry) is not None
    except DataError:
        return False


def _available(name: OwnName) -> tuple[bool, str]:
    if name.pin and own.present(name):
        return True, "in the cache"
    if name.kind == "loader":
        return True, "returned by a function of yours"
    is_here = Path(name.folder).is_dir()
    return is_here, f"in {name.folder}" if is_here else f"not here: {name.folder} is not a folder"


def _find_or_download(entry: Entry, progress: Progress | None) -> Source:
    if source := find(entry):
        return source
    folder = download(entry, progress)
    if source := find(entry):
        return source
    raise DataError(f"the files of {entry.name} cannot be seen in {folder} after their download: try again.")


def _present(entry: Entry, progress: Progress | None) -> Prepared:
    """The arrays that another machine sent, else those of the files on this machine or of a download."""
    return cache.received(entry.name) or _prepared(entry, _find_or_download(entry, progress), progress)


def _prepared(entry: Entry, source: Source, progress: Progress | None) -> Prepared:
    """The arrays of these files; downloads that turn out to be damaged are downloaded again, once."""
    try:
        return _read(entry, source)
    except DownloadDamaged:
        return _read(entry, _find_or_download(entry, progress))


def _read(entry: Entry, source: Source) -> Prepared:
    here = dataclasses.replace(entry, files=source.files)

    def read() -> Mapping[str, np.ndarray]:
        if source.is_download:
            verify(here, source.paths)
        module, _, function = entry.reader.partition(":")
        arrays: Mapping[str, np.ndarray] = getattr(importlib.import_module(module), function)(
            here, source.paths
        )
        return arrays

    return cache.prepared(entry.name, source, read)
