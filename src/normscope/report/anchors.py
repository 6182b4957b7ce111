"""Anchors: the names by which links lead to the parts of a page."""

from __future__ import annotations

import itertools
import re
from collections import Counter

_NOT_IN_A_LINK = re.compile(r"[^\w.-]+")
_LONGEST = 100


class Anchors:
    """Gives every part of a page an anchor of its own, also where parts have the same name.

    Args:
        taken: anchors that no part may have.
    """

    def __init__(self, *taken: str) -> None:
        self._taken = set(taken)
        self._numbers = Counter[str]()

    def make(self, name: str) -> str:
        """A new anchor: the first 100 characters of the name, ``-`` in place of what a link cannot hold.

        A number follows where another part has that anchor.
        """
        plain = _NOT_IN_A_LINK.sub("-", name)[:_LONGEST] or "-"
        if plain not in self._taken:
            anchor = plain
        else:
            numbered = (f"{plain}-{number}" for number in itertools.count(self._numbers[plain] + 2))
            anchor = next(candidate for candidate in numbered if candidate not in self._taken)
            self._numbers[plain] = int(anchor.rpartition("-")[2]) - 1
        self._taken.add(anchor)
        return anchor
