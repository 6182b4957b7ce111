"""How a user's own data are named, and what such a name says.

``module:loader``, ``module:loader(argument=value)`` or ``folder/file.py:loader`` is a function that returns the data;
``idx:FOLDER`` is a folder of IDX files; ``images:FOLDER`` is a folder of pictures. A name that is **pinned** ends with
``#`` and the first 16 digits of the content's digest. It means these contents for good, so everything that is computed
from them can go by the name.
"""

from __future__ import annotations

import dataclasses
import os
import re

from normscope.data.catalogue import CATALOGUE
from normscope.errors import InputError
from normscope.nn import specs
from normscope.targets import dotted

PIN_DIGITS = 16
FOLDER_KINDS = ("idx", "images")

_PINNED = re.compile(rf"(.+)#([0-9a-f]{{{PIN_DIGITS}}})", re.DOTALL)
_LONGEST_STEM = 60


@dataclasses.dataclass(frozen=True)
class OwnName:
    """The name of a user's own data, taken apart.

    Attributes:
        source: the canonical name without the pin.
        kind: ``"idx"`` or ``"images"`` for a folder, ``"loader"`` for a function.
        pin: the first digits of the content's digest; empty if the name is not pinned.
    """

    source: str
    kind: str
    pin: str = ""

    def __str__(self) -> str:
        return f"{self.source}#{self.pin}" if self.pin else self.source

    @property
    def folder(self) -> str:
        """The folder of ``idx:FOLDER`` or ``images:FOLDER``."""
        return self.source.partition(":")[2]

    @property
    def stem(self) -> str:
        """The first part of the names of its files in the cache."""
        return re.sub(r"[^A-Za-z0-9_.-]+", "_", self.source)[:_LONGEST_STEM]

    def pinned(self, digest: str) -> OwnName:
        """The name for the contents of that digest."""
        return dataclasses.replace(self, pin=digest[:PIN_DIGITS])


def own_name(name: str) -> OwnName | None:
    """A name of a user's own data, taken apart; ``None`` for any other name, which can only be the catalogue's.

    Raises:
        InputError: it has the form of such a name, but cannot be read.
    """
    name = name.strip()
    if name in CATALOGUE or ":" not in name:
        return None
    if re.search("[\ud800-\udfff]", name):  # bytes of a path that are no UTF-8
        raise InputError(f"data {name!r} has bytes that are no text: rename the folder.")
    found = _PINNED.fullmatch(name)
    source, pin = found.groups() if found else (name, "")
    kind, _, folder = source.partition(":")
    if kind not in FOLDER_KINDS:
        return OwnName(str(specs.read(dotted(source, "data"), "data")), "loader", pin)
    if not folder.strip():
        raise InputError(f"data {name!r} names no folder: write {kind}:FOLDER.")
    return OwnName(f"{kind}:{os.path.normpath(os.path.expanduser(folder.strip()))}", kind, pin)


def unpinned(name: str) -> str:
    """The name without the digits of the content: what a user calls the data."""
    found = _PINNED.fullmatch(name)
    return found.group(1) if found and ":" in found.group(1) else name
