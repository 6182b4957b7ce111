"""Whose files these are: the catalogue's data sets by the checksums of their published files.

The files of MNIST, Fashion-MNIST and KMNIST have the same names and the same structure, so only their content tells
them apart. A file that is published as part of another data set is refused under a known name. A file that nobody has
published, such as a subset, is used; :func:`remark` says so wherever its results are shown.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from normscope.data import catalogue
from normscope.data.entry import Entry, OfficialFile
from normscope.data.locations import find
from normscope.data.users_files import open_file
from normscope.errors import DataError

_SHOWN_DIGITS = 12


def refuse_foreign(entry: Entry, paths: Sequence[Path]) -> None:
    """Refuse files that are published as part of another data set, or under another name of the same one.

    Args:
        entry: the data set that the files should be.
        paths: its files, in the entry's order.

    Raises:
        DataError: naming the file, what it is, and where it belongs.
    """
    known = {
        checksum: (other, file)
        for other in catalogue.CATALOGUE.values()
        for file in other.files
        for checksum in (file.sha256_gz, file.sha256)
        if checksum
    }
    for wanted, path in zip(entry.files, paths, strict=True):
        for checksum in checksums(path):
            other, file = known.get(checksum, (entry, wanted))
            if other.name != entry.name:
                raise DataError(
                    f"{path} is the {file.name} of {other.name}, not of {entry.name}: put the files of {other.name} "
                    f"into {path.parent.with_name(other.folder)} and ask for that data set."
                )
            if file.name != wanted.name:
                raise DataError(
                    f"{path} is the {file.name} of {entry.name}: give every file the name that it is published under."
                )


def is_official(entry: Entry, digest: str, train: int, test: int) -> bool | None:
    """Whether a data set is exactly the published one, complete and in order; ``None`` where it cannot be told.

    The digest of the content decides. Where the catalogue does not know it, the SHA-256 of the files on this machine
    does. Files whose checksum is not known either (KMNIST's, unpacked) are neither confirmed nor excluded if they hold
    the right number of images.

    Args:
        entry: the data set.
        digest: the digest of its content on this machine.
        train: its number of training images on this machine.
        test: its number of test images on this machine.
    """
    if entry.digest:
        return digest == entry.digest
    if (train, test) != (entry.train, entry.test):
        return False
    source = find(entry)
    if source is None:
        return None
    if _are_published(source.files, source.paths, tuple(source.stamps())):
        return True
    return False if _are_known(entry) else None


def remark(name: str, digest: str, official: bool | None) -> str:
    """A clause for reports on a data set that is not the published one, or may not be; empty for one that is."""
    if official:
        return ""
    content = f"content digest {digest[:_SHOWN_DIGITS]}"
    if official is None:
        is_known = _are_known(catalogue.CATALOGUE[name])
        why = "its files are not here" if is_known else "only its .gz files have known checksums"
        return f"the images of {name} may not be the published ones, since {why} ({content})"
    return f"the images of {name} are not the published ones ({content})"


@functools.lru_cache(maxsize=16)
def _are_published(files: tuple[OfficialFile, ...], paths: tuple[Path, ...], stamps: tuple[str, ...]) -> bool:
    """Whether every path is the published file; ``stamps`` change when a path's content may have."""
    return all(
        any(checksum in (file.sha256_gz, file.sha256) for checksum in checksums(path))
        for file, path in zip(files, paths, strict=True)
    )


def _are_known(entry: Entry) -> bool:
    """Whether every file has a checksum of its content, so that whatever differs is not the published one."""
    return all(file.sha256 for file in entry.files)


def checksums(path: Path) -> Iterator[str]:
    """SHA-256 of a file, and of its uncompressed content if it is compressed.

    Raises:
        DataError: if the file cannot be read.
    """
    try:
        with open_file(path) as file:
            yield hashlib.file_digest(cast("Any", file), "sha256").hexdigest()
            file.seek(0)
            with gzip.GzipFile(fileobj=file) as content:
                yield hashlib.file_digest(cast("Any", content), "sha256").hexdigest()
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return  # not compressed, or damaged: it has no other content
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror or error}): check that file.") from None
