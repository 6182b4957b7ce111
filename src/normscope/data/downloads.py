"""Downloads of the official files, verified by their checksums."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from normscope.data.catalogue import Entry, OfficialFile
from normscope.data.locations import data_root, downloads_folder, writable_cache, writing
from normscope.errors import DataError

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with a file's name, its bytes so far and its total bytes, as they arrive."""

# Seconds to wait for a connection, and for the next bytes.
_TIMEOUT = (10, 60)


def download(entry: Entry, progress: Progress | None = None) -> Path:
    """Download the files of a data set that are not downloaded yet, and return their folder.

    Processes that download the same data set at the same time wait for one another.

    Raises:
        DataError: if no address has a file of the right checksum; the message says which files to put where.
    """
    from filelock import FileLock

    folder = downloads_folder(writable_cache(), entry)
    with writing(f"the downloads of {entry.name}", folder):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")), _quiet_pooch():
            for file in entry.files:
                _download(entry, file, folder, progress)
    return folder


def _download(entry: Entry, file: OfficialFile, folder: Path, progress: Progress | None) -> None:
    import pooch
    import requests

    failures: list[str] = []
    for address in entry.urls:
        bar = _Bar(f"{file.name}.gz", file.size_gz, progress) if progress else False
        try:
            pooch.retrieve(
                url=f"{address}{file.name}.gz",
                known_hash=f"sha256:{file.sha256_gz}",
                fname=f"{file.name}.gz",
                path=folder,
                downloader=pooch.HTTPDownloader(progressbar=bar, timeout=_TIMEOUT),
            )
            return
        except requests.RequestException as error:
            failures.append(type(error).__name__)
        except ValueError:
            failures.append("a file with another checksum than the official one")
    raise DataError(
        f"cannot download {file.name}.gz ({', then '.join(dict.fromkeys(failures))}): " + where_to_put(entry)
    )


def where_to_put(entry: Entry) -> str:
    """Advice for a machine without a network: which files to get, from where, and where to put them."""
    root = data_root()
    place = (
        f"{root / entry.folder}"
        if root
        else f"a folder {entry.folder}/ in the folder that NORMSCOPE_DATA names"
    )
    names = ", ".join(f"{file.name}.gz" for file in entry.files)
    return f"get {names} from {' or '.join(entry.urls)} and put them into {place}."


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
