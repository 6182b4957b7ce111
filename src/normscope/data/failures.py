"""Failures that are no fault of the data: what the disk or the memory refuses now, in one sentence."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from normscope.errors import DataError

P = ParamSpec("P")
T = TypeVar("T")


def cannot_read(error: OSError) -> DataError:
    """The sentence for a file, or a folder, that cannot be read now."""
    what = error.filename if error.filename is not None else "a file of the data"
    return DataError(f"cannot read {what} ({error.strerror or error}): it stays as it is; try again.")


def in_words(function: Callable[P, T]) -> Callable[P, T]:
    """A function that loads data and raises a DataError where the disk or the memory refuses."""

    @functools.wraps(function)
    def guarded(*arguments: P.args, **words: P.kwargs) -> T:
        try:
            return function(*arguments, **words)
        except MemoryError as error:
            raise DataError("there is too little memory now to load the data.") from error
        except OSError as error:
            raise cannot_read(error) from error

    return guarded
