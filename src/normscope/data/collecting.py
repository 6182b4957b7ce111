"""Collects what a user's loader returned: whatever its form, two arrays for each split.

A loader returns ``(train, validation)``, or a mapping with the keys ``train`` and ``validation`` (``val`` and ``test``
are other words for it; ``validation`` comes first where there are several). A split is

- a pair of arrays or tensors ``(x, y)``, where ``y`` may be a list,
- a map-style ``torch.utils.data.Dataset``, or an ``IterableDataset``, of examples ``(x, y)``,
- a ``DataLoader`` or any other iterable of batches ``(x, y)``. An entry whose ``y`` is a single number is an example.

The mapping may also have ``classes``, the number of classes when it is more than the labels show, and ``standardize``:
``False`` leaves floats as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from normscope.data.contents import Contents
from normscope.data.image_folders import pixels
from normscope.errors import DataError, InputError, UnknownNameError

_VALIDATION = ("validation", "val", "test")
_WORDS = ("train", *_VALIDATION, "classes", "standardize")


def collect(returned: Any, name: str) -> Contents:
    """The arrays of what a loader returned.

    Args:
        returned: what it returned.
        name: the name of the data, for messages.

    Raises:
        InputError: it has none of the forms above, or an example differs in shape from the first.
    """
    words = _words(returned, name)
    train, validation = (
        _Split(f"data {name!r}: the {part} split").arrays(words[part]) for part in ("train", "validation")
    )
    return Contents(
        train, validation, _classes(words.get("classes"), name), _flag(words.get("standardize", True), name)
    )


def _words(returned: Any, name: str) -> dict[str, Any]:
    if isinstance(returned, Mapping):
        for key in returned:
            if key not in _WORDS:
                raise UnknownNameError(f"key in what data {name!r} returned:", str(key), _WORDS)
        found = [key for key in _VALIDATION if key in returned]
        if "train" in returned and found:
            rest = {key: returned[key] for key in ("train", "classes", "standardize") if key in returned}
            return {**rest, "validation": returned[found[0]]}
        what = f"a mapping with the keys {', '.join(map(repr, returned)) or '(none)'}"
    elif isinstance(returned, tuple | list) and len(returned) == 2 and not any(map(_is_array, returned)):
        return {"train": returned[0], "validation": returned[1]}
    elif isinstance(returned, tuple | list):
        what = (
            f"a {type(returned).__name__} of {', '.join(type(one).__name__ for one in returned) or 'nothing'}"
        )
    else:
        what = f"a {type(returned).__name__}"
    raise InputError(
        f"data {name!r} returned {what}: return (train, validation), each a pair of arrays (x, y), a Dataset or a "
        "DataLoader, or a mapping with the keys train and validation."
    )


def _classes(given: Any, name: str) -> int | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 2:
        raise InputError(f"data {name!r} states {given!r} classes: a whole number of at least 2 is allowed.")
    return int(given)


def _flag(given: Any, name: str) -> bool:
    if not isinstance(given, bool):
        raise InputError(f"data {name!r} says standardize={given!r}: True or False is allowed.")
    return given


class _Split:
    """Turns one split into two arrays; ``words`` name it in messages."""

    def __init__(self, words: str) -> None:
        self._words = words

    def arrays(self, split: Any) -> tuple[np.ndarray, np.ndarray]:
        if isinstance(split, tuple | list) and len(split) == 2 and _is_array(split[0]):
            x, y = self._array(split[0], "inputs"), self._array(split[1], "labels")
        else:
            x, y = self._gathered(self._entries(split))
        self._check_length(x, y)
        return x, y

    def _entries(self, split: Any) -> Iterator[tuple[Any, Any, bool]]:
        """The split's entries: x, y, and whether they are one example rather than a batch."""
        from torch.utils.data import Dataset

        examples = isinstance(split, Dataset) or _is_map_style(split)
        entries = (split[index] for index in range(len(split))) if _is_map_style(split) else split
        if not isinstance(entries, Iterable) or isinstance(split, str | bytes | Mapping) or _is_array(split):
            raise InputError(
                f"{self._words} is a {type(split).__name__}: give a pair of arrays (x, y), a Dataset, a DataLoader "
                "or an iterable of batches (x, y)."
            )
        for number, entry in enumerate(entries):
            if not isinstance(entry, Sequence) or isinstance(entry, str | bytes) or len(entry) != 2:
                found = f"{type(entry).__name__}" + (
                    f" of {len(entry)}" if isinstance(entry, Sequence) else ""
                )
                raise InputError(f"{self._words} has a {found} as entry {number}: entries are pairs (x, y).")
            yield *entry, examples or _is_number(entry[1])

    def _gathered(self, entries: Iterable[tuple[Any, Any, bool]]) -> tuple[np.ndarray, np.ndarray]:
        """All entries in two arrays; an entry of another shape than the first is refused."""
        columns: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for number, (*pair, example) in enumerate(entries):
            found = [self._array(one, what) for one, what in zip(pair, ("inputs", "labels"), strict=True)]
            if example:
                found = [one[None] for one in found]
            else:
                self._check_length(*found)
            for column, one, what in zip(columns, found, ("inputs", "labels"), strict=True):
                if column and one.shape[1:] != column[0].shape[1:]:
                    raise InputError(
                        f"{self._words} has {what} of shape {one.shape[1:]} in entry {number}, after "
                        f"{column[0].shape[1:]} in the first: all must have one shape."
                    )
                column.append(one)
        if not columns[0]:
            raise DataError(f"{self._words} is empty: at least one example is needed.")
        return np.concatenate(columns[0]), np.concatenate(columns[1])

    def _check_length(self, x: np.ndarray, y: np.ndarray) -> None:
        if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
            raise InputError(
                f"{self._words} has inputs of shape {x.shape} and labels of shape {y.shape}: "
                "both must have one entry for each example."
            )
        if len(x) == 0:
            raise DataError(f"{self._words} is empty: at least one example is needed.")

    def _array(self, value: Any, what: str) -> np.ndarray:
        """A NumPy array of numbers from an array, a tensor, a picture of Pillow's, or numbers in lists."""
        import torch

        if np.ma.is_masked(value):
            raise InputError(f"{self._words} has {what} with masked entries: fill them, or leave them out.")
        odd = "objects or rows of different lengths"
        if isinstance(value, torch.Tensor):
            odd = f"a tensor of {value.dtype} in the layout {value.layout}"
            value = value.detach().cpu().resolve_conj().resolve_neg()
            is_short = value.is_floating_point() and value.dtype.itemsize == 1  # no type of NumPy's
            value = value.float() if is_short or value.dtype == torch.bfloat16 else value
        elif hasattr(value, "getbands"):
            value = pixels(value, f"{self._words} has a picture that")
        try:
            array = np.asarray(value)
        except (ValueError, TypeError, RuntimeError):  # ragged lists; sparse tensors
            array = np.empty(0, object)
        if array.dtype.kind not in "buif":
            kind = odd if array.dtype.kind == "O" else f"{array.dtype}"
            raise InputError(f"{self._words} has {what} that are {kind}: arrays of numbers are needed.")
        return array


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "__array__")


def _is_map_style(split: Any) -> bool:
    return (
        hasattr(split, "__getitem__")
        and hasattr(split, "__len__")
        and not isinstance(split, Sequence | Mapping)
    )


def _is_number(value: Any) -> bool:
    return getattr(value, "shape", ...) == () or isinstance(value, int | float | np.generic)
