"""Batches: images gathered from shared memory, padded and standardised when they are needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from normscope.data.loading import DataSet
from normscope.errors import InputError


def standardise(
    images: Tensor, mean: Sequence[float], std: Sequence[float], size: int | None = None
) -> Tensor:
    """Pad images with black and standardise them: ``(x/255 − mean) / std`` for each channel.

    The padding comes first, so that a padded pixel becomes ``(0 − mean) / std``, as black as the image's own
    background, not the grey of 0. Where rows or columns are odd in number, the larger part goes
    below or to the right.

    Args:
        images: uint8, (B, C, H, W).
        mean: of each channel, pixels scaled to 0 … 1.
        std: of each channel, pixels scaled to 0 … 1.
        size: height and width of the result, the image in its centre; None: as the images are.

    Returns:
        float32, (B, C, size, size) or (B, C, H, W).

    Raises:
        InputError: another type or shape, or a size smaller than the images.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise InputError(
            f"images must be uint8 of shape (B, C, H, W), not {images.dtype} of shape {tuple(images.shape)}."
        )
    count, channels, height, width = images.shape
    if not len(mean) == len(std) == channels:
        raise InputError(
            f"mean and std must have a value for each of {channels} channels, not {len(mean)} and {len(std)}."
        )
    if size is not None and (height, width) != (size, size):
        if size < max(height, width):
            raise InputError(f"size must be at least the images' {height}×{width}, not {size}.")
        padded = images.new_zeros(count, channels, size, size)
        inner = padded.narrow(2, (size - height) // 2, height).narrow(3, (size - width) // 2, width)
        inner.copy_(images)
        images = padded
    values = images.to(torch.float32)
    # In units of pixels, where x is exact; one channel needs two numbers, not two tensors.
    if channels == 1:
        return values.sub_(255 * mean[0]).div_(255 * std[0])
    per_channel = torch.tensor([mean, std], dtype=torch.float64, device=values.device).mul_(255).float()
    return values.sub_(per_channel[0].view(-1, 1, 1)).div_(per_channel[1].view(-1, 1, 1))


def shuffled_batches(count: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """One epoch's batches: indices of ``count`` images in a fresh random order, a last partial batch dropped.

    Args:
        count: number of images.
        batch: images a batch.
        generator: draws the order, when this is called; each call draws the next epoch's.

    Returns:
        ``count // batch`` index tensors, int64, (batch,).

    Raises:
        InputError: ``batch`` is not between 1 and ``count``.
    """
    if not 1 <= batch <= count:
        raise InputError(f"batch must be between 1 and the number of images, {count}, not {batch}.")
    order = torch.randperm(count, generator=generator)
    return iter(order[: count // batch * batch].view(-1, batch).unbind())


def seeded_epochs(
    split: Split, count: int, batch: int, seed: int
) -> Iterator[Iterator[tuple[Tensor, Tensor]]]:
    """``count`` epochs of batches, in an order that only the seed decides; a last partial batch is dropped."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        yield (split.batch(indices) for indices in shuffled_batches(len(split), batch, generator))


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """The training or the test images of a data set, handed out in standardised batches.

    Args:
        images: uint8, (N, C, H, W).
        labels: int64, (N,).
        mean: of each channel, pixels scaled to 0 … 1.
        std: of each channel, pixels scaled to 0 … 1.
        size: height and width to pad to, or None.
    """

    images: Tensor
    labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int | None = None

    @classmethod
    def of(cls, data: DataSet, part: Literal["train", "test"], size: int | None = None) -> Split:
        """One part of a data set; its images stay in the memory that all processes share.

        Raises:
            InputError: ``part`` is neither "train" nor "test".
        """
        if part not in ("train", "test"):
            raise InputError(f"part must be 'train' or 'test', not {part!r}.")
        images = data.train_images if part == "train" else data.test_images
        labels = data.train_labels if part == "train" else data.test_labels
        return cls(_shared(images), torch.from_numpy(labels.astype(np.int64)), data.mean, data.std, size)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """The images at ``indices`` (int64, (B,)), as :func:`standardise` returns them, and their labels."""
        images = self.images.index_select(0, indices)
        return standardise(images, self.mean, self.std, self.size), self.labels.index_select(0, indices)

    def in_order(self, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in the file's order, so many a batch; the last batch may be smaller."""
        return map(self.batch, torch.split(torch.arange(len(self)), batch))

    def first(self, n: int) -> Split:
        """The first ``n`` images, without copying.

        Raises:
            InputError: ``n`` is not between 1 and the number of images.
        """
        if not 1 <= n <= len(self):
            raise InputError(f"n must be between 1 and the number of images, {len(self)}, not {n}.")
        return dataclasses.replace(self, images=self.images[:n], labels=self.labels[:n])


def _shared(array: np.ndarray) -> Tensor:
    """A tensor over an array's own memory, or over a copy where that memory may not be written.

    Torch warns of a tensor over read-only memory, since it could write to it. The cache's maps are
    copy-on-write, so a view of them may be declared writable: a write would reach this process's own copy
    of the page, never the file.
    """
    view = array.view(np.ndarray)
    try:
        view.flags.writeable = True
    except ValueError:
        view = array.copy()
    return torch.from_numpy(view)
