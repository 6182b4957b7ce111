"""Whether arrays that were read fit each other and what is said of them, so that training on them means something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from normscope.disk.values import is_number, is_whole

if TYPE_CHECKING:
    import numpy as np


def misfit(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> str:
    """Why nothing can be trained on a data set's arrays; empty if something can.

    Args:
        arrays: inputs and labels of both splits, by name.
        facts: what is kept with them, as JSON values; any may be missing.
    """
    for what in ("images", "labels"):
        one, other = arrays[f"train_{what}"], arrays[f"test_{what}"]
        if (one.dtype, one.shape[1:]) != (other.dtype, other.shape[1:]):
            return f"its splits have {what} of different shapes or types"
        shape, said = list(one.shape[1:]), "shape" if what == "images" else "target_shape"
        if facts.get(said, shape) != shape:
            return f"its {what} are of another shape than it says"
    for split in ("train", "test"):
        inputs, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        if not len(inputs) == len(labels) == facts.get(split, len(labels)):
            return f"its {split} split has other numbers of inputs and labels than it says"
        if labels.dtype.kind != "f" and not _name_classes(labels, facts.get("classes")):
            return f"its {split} split has labels that name no class"
    moments = [facts.get(name, []) for name in ("mean", "std")]
    if not all(isinstance(values, list) and all(map(is_number, values)) for values in moments):
        return "it has moments that are no numbers"
    return ""


def _name_classes(labels: np.ndarray, classes: Any) -> bool:
    """Whether all labels name classes: torch leaves an example with the label -100 out without a word."""
    return bool(labels.min() >= 0 and (not is_whole(classes) or labels.max() < classes))
