"""The error of a store's folder, and how the system's refusals become one sentence."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from normscope.disk.reading import refuse_link
from normscope.errors import InputError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_FOLDER = (errno.EEXIST, errno.ENOTDIR)


class StoreError(InputError):
    """The store's folder cannot be read or written; the message is one sentence with the system's reason."""


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Read a file or a folder. What cannot be read now is never called damaged: it stays where it is.

    Raises:
        StoreError: the system refuses, or there is too little memory.
    """
    try:
        yield
    except (OSError, MemoryError) as error:
        raise StoreError(f"cannot read {path}: {_reason(error)}.") from error


@contextlib.contextmanager
def writing(folder: Path, hint: str = "") -> Iterator[None]:
    """Write, move or remove files of a store.

    Raises:
        StoreError: the system refuses, or there is too little memory.
    """
    try:
        yield
    except (OSError, MemoryError) as error:
        is_full = isinstance(error, OSError) and error.errno in _FULL
        hint = "; finished cells are kept: make room, then the same command goes on" if is_full else hint
        raise StoreError(f"cannot write to {folder}: {_reason(error)}{hint}.") from error


def check_real(folder: Path) -> None:
    """Refuse a store's folder that is a link, since it may lead out of the results folder.

    Raises:
        StoreError: it is a link, or cannot be looked at now.
    """
    with reading(folder):
        try:
            refuse_link(folder)
        except InputError as error:
            raise StoreError(str(error)) from None


def _reason(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "there is too little memory"
    if error.errno in _NO_FOLDER:
        return "a file is in a folder's place"
    return error.strerror or str(error) or type(error).__name__
