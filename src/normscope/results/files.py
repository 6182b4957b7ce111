"""Reading and writing the files of a results folder: whole or not at all, and one sentence when the disk refuses.

Below the results folder no link is followed, for reading or for writing. A file that is written replaces what is in
its place.
"""

from __future__ import annotations

import contextlib
import os
import stat
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from normscope.disk.aside import set_aside
from normscope.disk.atomic import atomic_write, sync_folder
from normscope.disk.reading import is_real_folder, read_file
from normscope.errors import InputError, NormscopeWarning


class CannotReadError(InputError):
    """The system refuses to read a file or folder now; nothing is said about its content."""


def read(path: Path, limit: int) -> bytes:
    """The content of a regular file.

    Args:
        path: the file.
        limit: number of bytes that it may have.

    Raises:
        FileNotFoundError: there is none.
        DamagedError: something else than a regular file is in its place, or it is too large.
        CannotReadError: the system refuses now, or there is too little memory.
    """
    with reading(path):
        return read_file(path, limit)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the system's refusal into a :class:`CannotReadError`; a missing file stays a FileNotFoundError."""
    try:
        yield
    except NotADirectoryError as error:
        raise FileNotFoundError(*error.args) from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CannotReadError(f"cannot read {path}: {error.strerror or error}.") from error
    except MemoryError:
        raise CannotReadError(f"cannot read {path}: there is too little memory now.") from None


def is_there(path: Path) -> bool:
    """Whether there is a file of that name, of any kind; a link is not followed.

    Raises:
        CannotReadError: the system does not say.
    """
    try:
        with reading(path):
            os.lstat(path)
    except FileNotFoundError:
        return False
    return True


def write_file(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Write a file that appears under its name only when it is complete and on the disk.

    A link, a pipe or a device in its place is replaced; a folder in its place is set aside.

    Args:
        path: the file; its folder is created when it is missing.
        fill: writes the content to the open file that it is given.

    Raises:
        InputError: when the file cannot be written.
    """
    try:
        if is_real_folder(path) and (place := set_aside(path)):
            warnings.warn(f"{path} was a folder; it is now {place}.", NormscopeWarning, stacklevel=3)
        with atomic_write(path) as file:
            fill(file)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_text(path: Path, text: str) -> None:
    r"""Write a text file as :func:`write_file` does, in UTF-8; a lone surrogate is written as ``\ud800``.

    Raises:
        InputError: when the file cannot be written.
    """
    write_file(path, lambda file: file.write(_encoded(text)))


def write_export(path: Path, text: str) -> None:
    """Write a text file where a user asked for it.

    Where ``path`` is a link, the file that it points to is replaced and the link stays. A pipe or a device is written
    to directly.

    Raises:
        InputError: when the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    try:
        if _is_pipe_or_device(target):
            target.write_bytes(_encoded(text))
            return
        with atomic_write(target) as file:
            file.write(_encoded(text))
    except OSError as error:
        raise cannot_write(path, error) from error


def remove_file(path: Path) -> None:
    """Remove a file, durably, if it is there; a folder in its place is set aside.

    Raises:
        InputError: when it cannot be removed.
    """
    try:
        if is_real_folder(path):
            set_aside(path)
        elif is_there(path):
            path.unlink(missing_ok=True)
            sync_folder(path.parent)
    except OSError as error:
        raise InputError(f"cannot remove {path}: {error.strerror or error}.") from error


def cannot_write(path: Path, error: OSError) -> InputError:
    """The error to raise when the system refuses to write ``path``."""
    return InputError(f"cannot write {path}: {error.strerror or error}.")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="backslashreplace")


def _is_pipe_or_device(path: Path) -> bool:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)
