"""Makes the cache's arrays of a user's data: checked, in one type, floats standardized.

What an input is goes by its type and shape. uint8 of shape (N, C, H, W) are images and stay as they are: batches are
standardized when they are made. Floats and booleans become float32 and are standardized here, for each channel
(dimension 1), unless the loader says otherwise. Other whole numbers are tokens: int64, never standardized. Labels that
are whole numbers name classes; labels that are floats are a regression target, which is not standardized.

Moments are those of the training split alone, over its finite entries. Values that are not finite stay so.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import warnings
from collections.abc import Iterator, Mapping

import numpy as np

from normscope.data.array_files import content_digest
from normscope.data.contents import Contents
from normscope.data.facts import Facts
from normscope.errors import DataError, InputError, NormscopeWarning

_CHUNK_ENTRIES = 1 << 22
_COLOURS = (1, 3, 4)
_MOST_COLOURS = 4
_LEAST_DEVIATION = 1e-150
_MOST_CLASSES = 1_000_000


@dataclasses.dataclass(frozen=True, eq=False)
class Ready:
    """What is kept of a user's data.

    Attributes:
        arrays: the cache's arrays, by name.
        facts: the facts of the data; their digest covers everything here.
        mean: mean of each channel over the training inputs; empty if they are not standardized.
        std: standard deviation of each channel, likewise.
    """

    arrays: Mapping[str, np.ndarray]
    facts: Facts
    mean: tuple[float, ...]
    std: tuple[float, ...]


def prepare(contents: Contents, name: str) -> Ready:
    """Check the arrays of a user's data and bring them into the form in which they are kept.

    Args:
        contents: what was returned or read.
        name: the name of the data.

    Raises:
        InputError: the splits do not fit each other, or labels cannot be classes.
        DataError: a split has no numbers.
    """
    _check_shapes(contents, name)
    kind, target_shape = _kind(contents, name), contents.train[1].shape[1:]
    classes = _classes(contents, name)
    standardizes = contents.standardize and kind != "tokens"
    with np.errstate(over="ignore", invalid="ignore"):  # the check refuses what does not fit
        mean, std = moments(contents.train[0]) if standardizes else ((), ())
    _check_moments(mean, std, name)
    arrays: dict[str, np.ndarray] = {}
    vocabulary, nonfinite = None, 0
    for (split, x, y), prefix in zip(contents.splits(), ("train", "test"), strict=True):
        if kind == "floats":
            x = _standardized(x, mean, std)
        elif kind == "tokens":
            x = x.astype(np.int64)
            if (least := int(x.min())) < 0:
                raise InputError(
                    f"data {name!r}: the {split} split has whole-numbered inputs down to {least}: tokens are 0, 1, …; "
                    "return measured numbers as floats."
                )
            vocabulary = max(vocabulary or 0, int(x.max()) + 1)
        y = _float32(y) if classes is None else y.astype(np.int64)
        nonfinite += _nonfinite(x) + _nonfinite(y)
        arrays |= {f"{prefix}_images": x, f"{prefix}_labels": y}
    facts = Facts(
        name, contents.train[0].shape[1:], kind, target_shape, classes,
        train=len(arrays["train_labels"]), test=len(arrays["test_labels"]), digest="",
        standardized=standardizes, vocabulary=vocabulary, nonfinite=nonfinite,
    )  # fmt: skip
    digest = _digest(arrays, facts, mean, std)
    return Ready(arrays, dataclasses.replace(facts, digest=digest), mean, std)


def moments(x: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over all finite entries; pixels count from 0 to 1.

    Args:
        x: (N, C, ...), or (N,) for a single channel.

    Returns:
        Two tuples of C numbers. A channel without two different finite entries has the deviation 1.
    """
    channels = x.shape[1] if x.ndim > 1 else 1
    total, count = np.zeros(channels), np.zeros(channels)
    least, largest = np.full(channels, np.inf), np.full(channels, -np.inf)
    for values in _chunks(x):
        finite = np.isfinite(values)
        total += np.where(finite, values, 0).sum(axis=(0, 2))
        count += finite.sum(axis=(0, 2))
        least = np.minimum(least, np.where(finite, values, np.inf).min(axis=(0, 2)))
        largest = np.maximum(largest, np.where(finite, values, -np.inf).max(axis=(0, 2)))
    varies = least < largest
    # A constant's sum rounds, so its mean is the constant itself.
    mean = np.where(varies, total / np.maximum(count, 1), np.where(count > 0, least, 0))
    squares = np.zeros(channels)
    for values in _chunks(x):
        squares += np.square(np.where(np.isfinite(values), values, mean[:, None]) - mean[:, None]).sum(
            axis=(0, 2)
        )
    std = np.where(varies, np.sqrt(squares / np.maximum(count, 1)), 1.0)
    scale = 255.0 if x.dtype == np.uint8 else 1.0
    return tuple((mean / scale).tolist()), tuple(np.where(varies, std / scale, 1.0).tolist())


def _check_moments(mean: tuple[float, ...], std: tuple[float, ...], name: str) -> None:
    """Refuse numbers so large or so small that their squares leave the range of 64-bit floats."""
    for channel, (center, deviation) in enumerate(zip(mean, std, strict=True)):
        if not math.isfinite(center) or not _LEAST_DEVIATION <= deviation < math.inf:
            raise InputError(
                f"data {name!r}: channel {channel} of the inputs has the mean {center:.3g} and the deviation "
                f"{deviation:.3g}, too large or too small to be standardized: scale these numbers first."
            )


def _check_shapes(contents: Contents, name: str) -> None:
    shapes = [[x.shape[1:], y.shape[1:]] for _, x, y in contents.splits()]
    for what, (train, validation) in zip(("inputs", "labels"), zip(*shapes, strict=True), strict=True):
        if train != validation:
            raise InputError(
                f"data {name!r}: the train split has {what} of shape {train}, the validation split of {validation}: "
                "both must have one shape."
            )
        if math.prod(train) == 0:
            raise DataError(f"data {name!r}: the {what} of shape {train} hold no numbers.")


def _kind(contents: Contents, name: str) -> str:
    x, kinds = contents.train[0], [_kind_of(x) for _, x, _ in contents.splits()]
    if kinds[0] != kinds[1]:
        raise InputError(
            f"data {name!r}: the train split's inputs are {contents.train[0].dtype}, the validation split's "
            f"{contents.validation[0].dtype}: both must have one type."
        )
    if kinds[0] == "images" and x.shape[3] <= _MOST_COLOURS < x.shape[1]:
        raise InputError(
            f"data {name!r}: images of shape {x.shape[1:]} have their channels last: return (channels, height, width)."
        )
    if kinds[0] == "floats" and x.ndim == 4 and x.shape[3] in _COLOURS and min(x.shape[1:3]) > _MOST_COLOURS:
        warnings.warn(
            f"data {name!r}: the inputs of shape {x.shape[1:]} are taken for {x.shape[1]} channels of "
            f"{x.shape[2]}×{x.shape[3]}; if their channels are last, return (channels, height, width).",
            NormscopeWarning,
            stacklevel=2,
        )
    return kinds[0]


def _kind_of(x: np.ndarray) -> str:
    if x.dtype == np.uint8 and x.ndim == 4:
        return "images"
    return "tokens" if x.dtype.kind in "iu" else "floats"


def _classes(contents: Contents, name: str) -> int | None:
    """The number of classes; ``None`` for a regression target."""
    regression = [y.dtype.kind == "f" for _, _, y in contents.splits()]
    if regression[0] != regression[1]:
        raise InputError(f"data {name!r}: one split's labels are floats, the other's whole numbers.")
    if regression[0] and contents.classes is not None:
        raise InputError(f"data {name!r} states classes, but its labels are floats: return whole numbers.")
    if regression[0]:
        return None
    largest = 0
    for split, _, y in contents.splits():
        if int(y.min()) < 0:
            raise InputError(
                f"data {name!r}: the {split} split has the label {int(y.min())}: labels are 0, 1, …; "
                "return a regression target as floats."
            )
        largest = max(largest, int(y.max()))
        if contents.classes is not None and largest >= contents.classes:
            raise InputError(
                f"data {name!r}: the {split} split has the label {largest}, but {contents.classes} classes are "
                f"stated: labels are 0 … {contents.classes - 1}."
            )
    if contents.classes is None and largest >= _MOST_CLASSES:
        raise InputError(
            f"data {name!r} has the label {largest}, which would mean {largest + 1:,} classes: number the classes from "
            "0, or state how many there are."
        )
    return contents.classes or largest + 1


def _chunks(x: np.ndarray) -> Iterator[np.ndarray]:
    """Pieces of (N, C, ...) as float64 (n, C, rest)."""
    each = max(1, _CHUNK_ENTRIES // max(1, math.prod(x.shape[1:])))
    channels = x.shape[1] if x.ndim > 1 else 1
    for start in range(0, len(x), each):
        piece = x[start : start + each]
        yield piece.reshape(len(piece), channels, -1).astype(np.float64)


def _standardized(x: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """Floats as float32, each channel minus its mean and divided by its deviation, or as they are without moments."""
    if not mean:
        return _float32(x)
    pieces = [_float32((piece - np.array(mean)[:, None]) / np.array(std)[:, None]) for piece in _chunks(x)]
    return np.concatenate(pieces).reshape(x.shape)


def _float32(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is counted
        return x.astype(np.float32)


def _nonfinite(x: np.ndarray) -> int:
    return int(x.size - np.isfinite(x).sum()) if x.dtype.kind == "f" else 0


def _digest(
    arrays: Mapping[str, np.ndarray], facts: Facts, mean: tuple[float, ...], std: tuple[float, ...]
) -> str:
    """SHA-256 of the arrays and of what else a run depends on: the classes, and the moments that batches use."""
    about = {key: value for key, value in facts.to_json().items() if key not in ("name", "digest")}
    text = json.dumps({**about, "mean": mean, "std": std}, sort_keys=True)
    return hashlib.sha256(f"{content_digest(arrays)} {text}".encode()).hexdigest()
