"""Opens the files that a user gives: through links, as they are the user's own, but nothing that may never end."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO

from normscope.errors import DataError


def open_file(path: Path) -> IO[bytes]:
    """A regular file, or the one that a link leads to.

    Raises:
        OSError: it is missing, or cannot be opened now.
        DataError: it is something else, such as a pipe; it is not waited for.
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise DataError(f"{path} is no file: a regular file, or a link to one, is expected.")
    return file
