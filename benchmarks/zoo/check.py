"""What a check gives: a cell of the table."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable

from benchmarks.zoo.subject import Subject, Wrong


@dataclasses.dataclass(frozen=True)
class Cell:
    """One check of one architecture.

    Attributes:
        right: whether the check held.
        text: its key number; or what was wrong.
        sentences: how operations were refused, where a refusal is right.
    """

    right: bool
    text: str
    sentences: tuple[str, ...] = ()


Check = Callable[[Subject], str | Cell]
"""Returns the key number, or the cell; raises Wrong."""


def checked(check: Check, subject: Subject) -> Cell:
    """Run one check. Any error is wrong, whatever it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = check(subject)
        except Wrong as wrong:
            return Cell(False, str(wrong))
        except Exception as error:
            first = (str(error).strip().splitlines() or [""])[0]
            return Cell(False, f"{type(error).__name__}: {first}")
    return Cell(True, found) if isinstance(found, str) else found
