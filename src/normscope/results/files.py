"""Writing the files of a results folder: each one whole or not at all, and one sentence when the disk refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

from normscope.disk.atomic import atomic_write
from normscope.errors import InputError


def write_file(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Write a file that appears under its name only when it is complete.

    Args:
        path: the file; its folder is created when it is missing.
        fill: writes the content to the open file that it is given.

    Raises:
        InputError: when the file cannot be written.
    """
    try:
        with atomic_write(path) as file:
            fill(file)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file, in UTF-8, that appears under its name only when it is complete.

    Where ``path`` is a link, the file that it points to is replaced and the link stays. A pipe or a device is written
    to directly.

    Raises:
        InputError: when the file cannot be written.
    """
    target = path.resolve()
    if target.is_fifo() or target.is_char_device():
        target.write_text(text, encoding="utf-8")
    else:
        write_file(target, lambda file: file.write(text.encode()))


def cannot_write(path: Path, error: OSError) -> InputError:
    """The error to raise when the system refuses to write ``path``."""
    return InputError(f"cannot write {path}: {error.strerror or error}.")
