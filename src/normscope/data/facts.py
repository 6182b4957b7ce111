"""What is known of a data set without opening its arrays: shapes, numbers of examples, moments."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from normscope.data.entry import Entry
from normscope.disk.values import is_count, is_text, is_whole

_SHOWN_DIGITS = 12
_KINDS = ("images", "floats", "tokens")


@dataclasses.dataclass(frozen=True)
class Facts:
    """The facts of a data set that a network and a report need.

    Attributes:
        name: its name for :func:`normscope.data.load`; that of a user's own data ends with ``#`` and the first 16
            digits of the digest.
        shape: shape of one input, such as (channels, height, width).
        kind: ``"images"``, uint8 of shape (channels, height, width), which are standardized batch by batch;
            ``"floats"``, float32, standardized before they were kept; ``"tokens"``, int64.
        target_shape: shape of one label or target; () for a single number.
        classes: number of classes, whose labels are 0 … classes − 1; ``None`` for a regression target of floats.
        train: number of training examples.
        test: number of validation examples.
        digest: SHA-256 of the contents; of the published ones, where known, for a data set of the catalogue.
        standardized: whether each channel is standardized by the training split's moments.
        vocabulary: for tokens, one more than the largest; else ``None``.
        nonfinite: number of inputs and targets that are not finite.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    target_shape: tuple[int, ...]
    classes: int | None
    train: int
    test: int
    digest: str
    standardized: bool = True
    vocabulary: int | None = None
    nonfinite: int = 0

    @classmethod
    def of(cls, entry: Entry) -> Facts:
        """The facts of a data set of the catalogue, as published."""
        return cls(
            name=entry.name, shape=entry.shape, kind="images", target_shape=(), classes=entry.classes,
            train=entry.train, test=entry.test, digest=entry.digest,
        )  # fmt: skip

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Facts:
        """The facts that :meth:`to_json` gave; entries that this version does not know are ignored.

        Raises:
            TypeError: when ``fields`` are not such facts.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        known: dict[str, Any] = {name: value for name, value in fields.items() if name in names}
        for name, value in known.items():
            if not CHECKS[name](value):
                raise TypeError(f"the entry {name!r} is of another kind than it was written")
        return cls(**known | {name: tuple(value) for name, value in known.items() if isinstance(value, list)})

    def to_json(self) -> dict[str, Any]:
        """The facts as JSON values."""
        return dataclasses.asdict(self)

    @property
    def is_image(self) -> bool:
        """Whether an input has the shape (channels, height, width)."""
        return len(self.shape) == 3 and self.kind != "tokens"

    @property
    def outputs(self) -> int:
        """Number of outputs that a network needs: the classes, or the numbers of a regression target."""
        return self.classes if self.classes is not None else math.prod(self.target_shape)

    def describe(self) -> str:
        """The facts in words, for a report."""
        size = "×".join(map(str, self.shape)) or "1"
        target = f"{self.classes} classes"
        if self.classes is None:
            target = f"a regression target of {'×'.join(map(str, self.target_shape)) or 1}"
        elif self.target_shape:
            target += f" for each of {'×'.join(map(str, self.target_shape))} positions"
        odd = f", {self.nonfinite:,} values not finite" if self.nonfinite else ""
        content = f"; content {self.digest[:_SHOWN_DIGITS]}" if self.digest else ""
        return (
            f"inputs of {size} ({self._input_words()}), {target}, "
            f"{self.train:,} training and {self.test:,} validation examples{odd}{content}"
        )

    def _input_words(self) -> str:
        if self.kind == "tokens":
            return f"integers up to {(self.vocabulary or 0) - 1}, not standardized"
        what = "8-bit pixels" if self.kind == "images" else "floats"
        if not self.standardized:
            return f"{what}, not standardized"
        by = "channel" if len(self.shape) > 1 else "feature"
        return f"{what}, standardized per {by} by the training split's mean and deviation"


def guess_error(classes: float) -> float:
    """The expected error of a random guess among equally likely classes, ``1 − 1/classes``."""
    return 1 - 1 / classes


def _is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(map(is_count, value))


CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "name": is_text,
    "shape": _is_shape,
    "kind": lambda value: is_text(value) and value in _KINDS,
    "target_shape": _is_shape,
    "classes": lambda value: value is None or is_count(value),
    "train": is_count,
    "test": is_whole,
    "digest": is_text,
    "standardized": lambda value: isinstance(value, bool),
    "vocabulary": lambda value: value is None or is_whole(value),
    "nonfinite": is_whole,
}
"""What the JSON value of each fact must be, since a file may hold anything."""
