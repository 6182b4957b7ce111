"""Moves damaged files out of the way, where a person can look at them."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path

from normscope.disk.reading import is_real_folder

ASIDE = "_unreadable"
"""The folder for damaged files, beside the place where each was found."""


def set_aside(path: Path) -> Path | None:
    """Move a damaged file, or what is in its place, into ``_unreadable`` beside it.

    Returns:
        Where it is now; ``None`` when it cannot be moved and so is still where it was.
    """
    folder = path.parent / ASIDE
    with contextlib.suppress(OSError):
        folder.mkdir(exist_ok=True)
        if is_real_folder(folder):
            names = (path.name if number == 0 else f"{path.name}.{number}" for number in itertools.count())
            place = next(folder / name for name in names if not os.path.lexists(folder / name))
            return path.rename(place)
    return None
