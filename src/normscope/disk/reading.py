"""Reads files that somebody else may have put there: regular files only, never through a link, of a bounded size.

A results folder may come from a stranger. What its files contain is data; what they *are* must not matter either: a
link may lead to a private file, a pipe may never end.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from normscope.errors import DamagedError, InputError

_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFDIR: "a folder",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_file(path: Path, limit: int | None = None) -> bytes:
    """The content of a regular file.

    Args:
        path: the file. Links among its folders are followed, a link in its own place is not.
        limit: number of bytes that the file may have.

    Raises:
        OSError: the file cannot be read now, or is missing.
        DamagedError: something else than a regular file is there, or the file is larger than ``limit``.
    """
    check_regular(path)
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if limit is not None and size > limit:
            raise DamagedError(f"{path} has {size:,} bytes: at most {limit:,} are expected.")
        return file.read()


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted; none when it is missing.

    Raises:
        OSError: the folder cannot be listed now.
    """
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def check_regular(path: Path) -> None:
    """Look at what is there without opening it.

    Raises:
        OSError: it is missing, or cannot be looked at now.
        DamagedError: it is not a regular file.
    """
    kind = stat.S_IFMT(os.lstat(path).st_mode)
    if kind != stat.S_IFREG:
        raise DamagedError(f"{path} is {_KINDS.get(kind, 'something else')}: a regular file is expected.")


def is_real_folder(path: Path) -> bool:
    """Whether there is a folder, not a link to one.

    Raises:
        OSError: it cannot be looked at now.
    """
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def refuse_link(folder: Path) -> None:
    """Refuse a folder within a results folder that is a link, since it may lead out of it.

    Raises:
        OSError: it cannot be looked at now.
        InputError: it is a link.
    """
    try:
        mode = os.lstat(folder).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISLNK(mode):
        raise InputError(f"{folder} is a link, which is not followed: put the folder itself there.")
