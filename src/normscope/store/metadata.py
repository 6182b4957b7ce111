"""What a finished cell's metadata say, once their types are verified.

Metadata are data: a cell's function is named there, but nothing is ever imported because a file names it.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from normscope.errors import DamagedError
from normscope.store.provenance import Provenance, provenance_of

KEY = re.compile(r"[0-9a-f]{32}")
"""A cell's key."""

_LONGEST_SECONDS = 1e10  # three centuries: what is longer, no clock has measured


class CellSummary(NamedTuple):
    """What a plan needs to know of a finished cell. It is small, since there may be a hundred thousand."""

    seconds: float
    provenance: Provenance


def summary_of(metadata: object, key: str) -> CellSummary:
    """The summary of the cell of that key. Fields that are not known here, of another version, do not matter.

    Raises:
        DamagedError: the metadata are of another cell, or a field of theirs has a type that is never written.
    """
    if not isinstance(metadata, dict) or metadata.get("key", key) != key or not KEY.fullmatch(key):
        raise DamagedError("its metadata are not those of a cell of its name")
    seconds: Any = metadata.get("seconds")
    if type(seconds) not in (int, float) or not 0 <= seconds <= _LONGEST_SECONDS:
        raise DamagedError("its metadata do not say in how many seconds it was made")
    function, version, config = (
        metadata.get("function", ""),
        metadata.get("version", 0),
        metadata.get("config", {}),
    )
    if type(function) is not str or type(version) is not int or type(config) is not dict:
        raise DamagedError("its metadata do not say what it computes")
    return CellSummary(float(seconds), provenance_of(metadata))
