"""Unpacks the archive in which a data set is published.

Only the published archive is opened, as its SHA-256 tells. Of its members only the expected files are written, each
under its own name, with the published size and checksum, complete or not at all.
"""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from normscope.data.entry import Download, OfficialFile
from normscope.data.users_files import open_file
from normscope.disk.atomic import atomic_write
from normscope.errors import DataError

_CHUNK = 2**20
_SHOWN_DIGITS = 12


def unpack(
    archive: Path, published: Download, inner: str, files: Iterable[OfficialFile], folder: Path
) -> None:
    """Write files of a data set from its archive, a ``.tar.gz``.

    Args:
        archive: the archive's path; a link is followed.
        published: the archive as it was published.
        inner: the folder in the archive that holds the files.
        files: the files to write, with their sizes and checksums.
        folder: where to write them; files of the same name are replaced.

    Raises:
        DataError: the archive cannot be read, is not the published one, or does not hold a file as it was published.
        OSError: the disk refuses what is written.
    """
    wanted = {f"{inner}/{file.name}": file for file in files}
    for member, content in _members(archive, published):
        if (file := wanted.pop(member, None)) is None:
            continue
        with atomic_write(folder / file.name) as out:
            digest, size = hashlib.sha256(), 0
            for piece in content:
                digest.update(piece)
                out.write(piece)
                if (size := size + len(piece)) > file.size:
                    break
            if size != file.size or digest.hexdigest() != file.sha256:
                raise DataError(f"{archive} holds another {member} than the published one.")
    if wanted:
        raise DataError(f"{archive} holds no {next(iter(wanted))}.")


def _members(archive: Path, published: Download) -> Iterator[tuple[str, Iterator[bytes]]]:
    """The regular files of an archive, one after another: name and content, in pieces."""
    with _reading(archive), open_file(archive) as raw:
        found = hashlib.file_digest(cast("Any", raw), "sha256").hexdigest()
        if found != published.sha256:
            raise DataError(
                f"{archive} is not the published {published.name}: its SHA-256 begins with {found[:_SHOWN_DIGITS]}, "
                f"not with {published.sha256[:_SHOWN_DIGITS]}; download it again."
            )
        raw.seek(0)
        with tarfile.open(fileobj=raw, mode="r|gz") as members:
            for member in members:
                if member.isreg() and (content := members.extractfile(member)):
                    yield member.name, _pieces(archive, content)


def _pieces(archive: Path, content: IO[bytes]) -> Iterator[bytes]:
    with _reading(archive):
        while piece := content.read(_CHUNK):
            yield piece


@contextmanager
def _reading(archive: Path) -> Iterator[None]:
    """Turn a failure to read an archive into one sentence."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(f"{archive} is no archive that can be unpacked ({error}).") from None
    except OSError as error:
        raise DataError(f"cannot read {archive} ({error.strerror or error}): check that file.") from None
