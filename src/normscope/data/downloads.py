"""Downloads of the official files, verified by their checksums.

The ``.gz`` files of a data set stay as they were published. An archive is unpacked and removed; one that lies in
``NORMSCOPE_DATA`` takes the place of the download.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from normscope.data.archives import unpack
from normscope.data.entry import Download, Entry
from normscope.data.locations import (
    data_root,
    downloads_folder,
    given_archive,
    variant,
    writable_cache,
    writing,
)
from normscope.data.published import checksums
from normscope.disk.aside import set_aside
from normscope.disk.atomic import make_folder, sync_folder
from normscope.disk.locks import WaitingLock
from normscope.errors import DamagedError, DataError, NormscopeWarning

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with a file's name, its bytes so far and its total bytes, as they arrive."""


class DownloadDamaged(DamagedError):
    """A downloaded file that has changed since, and has been moved away."""


# Seconds to wait for a connection, and for the next bytes.
_TIMEOUT = (10, 60)


def download(entry: Entry, progress: Progress | None = None) -> Path:
    """Download the files of a data set that are not downloaded yet, and return their folder.

    Processes that download the same data set at the same time wait for one another.

    Raises:
        DataError: if no address has a file of the right checksum; the message says which files to put where. If an
            archive in ``NORMSCOPE_DATA`` is not the published one.
    """
    folder = downloads_folder(writable_cache(), entry)
    with writing(f"the downloads of {entry.name}", folder):
        make_folder(folder)
        with WaitingLock(folder.with_name(f"{folder.name}.lock")), _quiet_pooch():
            if entry.archive:
                _unpack_missing(entry, entry.archive, folder, progress)
            else:
                for one in entry.downloads:
                    _download(entry, one, folder, progress)
                _flush(folder, entry)
    return folder


def verify(entry: Entry, paths: Sequence[Path]) -> None:
    """Compare downloaded files with the published checksums; what differs is moved to ``_unreadable`` beside it.

    A download was compared when it arrived; a disk may have changed it since. An unpacked file whose checksum is not
    known is not compared.

    Raises:
        DownloadDamaged: at least one file differs. It has been moved away, so that :func:`download` gets it again.
        DataError: a file cannot be read, or cannot be moved away.
    """
    damaged = False
    for file, path in zip(entry.files, paths, strict=True):
        is_comparable = file.sha256 or path.suffix == ".gz"
        if is_comparable and not {file.sha256_gz, file.sha256} & set(checksums(path)):
            damaged = True
            _move_away(path, "has another checksum than the official file")
    if damaged:
        raise DownloadDamaged(f"a downloaded file of {entry.name} was damaged.")


def _unpack_missing(entry: Entry, archive: Download, folder: Path, progress: Progress | None) -> None:
    """Unpack the files that are missing in ``folder`` from the archive in ``NORMSCOPE_DATA``, else from a download."""
    missing = [file for file in entry.files if not variant(folder, file.name)]
    if not missing:  # another process has unpacked them while this one waited for the lock
        return
    for file in missing:
        _make_way(folder / file.name)
    given = given_archive(entry)
    if given is None:
        _download(entry, archive, folder, progress)
    unpack(given or folder / archive.name, archive, entry.folder, missing, folder)
    if given is None:
        (folder / archive.name).unlink()


def _make_way(path: Path) -> None:
    """Move away what is no file, such as a pipe, on which a download would wait."""
    if os.path.lexists(path) and not path.is_file():
        _move_away(path, "is no file")


def _move_away(path: Path, why: str) -> None:
    place = set_aside(path)
    if place is None:
        raise DataError(f"{path} {why} and cannot be moved away: remove it.")
    warnings.warn(
        f"{path} {why}: it was moved to {place}, and is downloaded again.", NormscopeWarning, stacklevel=2
    )


def _flush(folder: Path, entry: Entry) -> None:
    """Have the files survive a power cut."""
    for one in entry.downloads:
        with (folder / one.name).open("rb") as content:
            os.fsync(content.fileno())
    sync_folder(folder)


def _download(entry: Entry, one: Download, folder: Path, progress: Progress | None) -> None:
    import pooch
    import requests

    _make_way(folder / one.name)
    failures: list[str] = []
    for address in entry.urls:
        bar = _Bar(one.name, one.size, progress) if progress else False
        try:
            pooch.retrieve(
                url=f"{address}{one.name}",
                known_hash=f"sha256:{one.sha256}",
                fname=one.name,
                path=folder,
                downloader=pooch.HTTPDownloader(progressbar=bar, timeout=_TIMEOUT),
            )
            return
        except requests.RequestException as error:
            failures.append(type(error).__name__)
        except ValueError:
            failures.append("a file with another checksum than the official one")
    raise DataError(
        f"cannot download {one.name} ({', then '.join(dict.fromkeys(failures))}): {where_to_put(entry)}"
    )


def where_to_put(entry: Entry) -> str:
    """Advice for a machine without a network: which files to get, from where, and where to put them."""
    root, inner = data_root(), "" if entry.archive else entry.folder
    if root:
        place = str(root / inner)
    elif inner:
        place = f"a folder {inner}/ in the folder that NORMSCOPE_DATA names"
    else:
        place = "the folder that NORMSCOPE_DATA names"
    names = ", ".join(one.name for one in entry.downloads)
    them = "it" if entry.archive else "them"
    return f"get {names} from {' or '.join(entry.urls)} and put {them} into {place}."


class _Bar:
    """The progress bar that pooch expects; it calls a callback."""

    def __init__(self, name: str, total: int, progress: Progress) -> None:
        self.total = total
        self._name = name
        self._done = 0
        self._progress = progress

    def update(self, count: int) -> None:
        self._done = min(self._done + count, self.total)
        self._progress(self._name, self._done, self.total)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        pass


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Keep pooch from writing to the terminal."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
