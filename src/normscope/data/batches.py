"""Batches: inputs from shared memory; images are padded and standardized when they are needed."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from normscope.data.augmentation import CropAndFlip
from normscope.data.loading import DataSet
from normscope.errors import InputError


def standardize(
    images: Tensor, mean: Sequence[float], std: Sequence[float], size: int | None = None
) -> Tensor:
    """Images padded with black and standardized: ``(x/255 − mean) / std`` for each channel.

    The padding comes first, so a padded pixel becomes ``(0 − mean) / std``, as black as the image's own background. If
    the number of added rows or columns is odd, the larger half goes below or to the right.

    Args:
        images: uint8, (B, C, H, W).
        mean: mean of each channel, with pixels scaled to 0 … 1.
        std: standard deviation of each channel, with pixels scaled to 0 … 1.
        size: height and width of the result, with the image in its center; None keeps the size of the images.

    Returns:
        float32, (B, C, size, size) or (B, C, H, W).

    Raises:
        InputError: for images of another type or shape, or a size smaller than theirs.
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise InputError(
            f"images must be uint8 of shape (B, C, H, W), not {images.dtype} of shape {tuple(images.shape)}."
        )
    channels = images.shape[1]
    if not len(mean) == len(std) == channels:
        raise InputError(
            f"mean and std must have a value for each of {channels} channels, not {len(mean)} and {len(std)}."
        )
    images = padded(images, size)
    values = images.to(torch.float32)
    # In units of pixel values, in which x is exact; one channel needs two numbers, not two tensors.
    if channels == 1:
        return values.sub_(255 * mean[0]).div_(255 * std[0])
    per_channel = torch.tensor([mean, std], dtype=torch.float64).mul_(255).float().to(values.device)
    return values.sub_(per_channel[0].view(-1, 1, 1)).div_(per_channel[1].view(-1, 1, 1))


def padded(images: Tensor, size: int | None, background: Tensor | None = None) -> Tensor:
    """Images in the center of squares of ``size``; the larger half of an odd border is below or to the right.

    Args:
        images: (B, C, H, W).
        size: height and width of the result; None keeps the images as they are.
        background: the border's value for each channel, (C,); by default 0.

    Raises:
        InputError: for a size smaller than the images'.
    """
    count, channels, height, width = images.shape
    if size is None or (height, width) == (size, size):
        return images
    if size < max(height, width):
        raise InputError(f"size must be at least the images' {height}×{width}, not {size}.")
    squares = images.new_zeros(count, channels, size, size)
    if background is not None:
        squares += background.view(-1, 1, 1)
    inner = squares.narrow(2, (size - height) // 2, height).narrow(3, (size - width) // 2, width)
    inner.copy_(images)
    return squares


def shuffled_batches(count: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """The batches of one epoch: indices of ``count`` images in random order, without the last partial batch.

    Args:
        count: number of images.
        batch: number of images per batch.
        generator: draws the order when the function is called; each call draws the next epoch's.

    Returns:
        ``count // batch`` index tensors, int64, (batch,).

    Raises:
        InputError: if ``batch`` is not between 1 and ``count``.
    """
    if not isinstance(batch, int) or not 1 <= batch <= count:
        raise InputError(f"batch must be between 1 and the number of images, {count}, not {batch}.")
    order = torch.randperm(count, generator=generator)
    return iter(order[: count // batch * batch].view(-1, batch).unbind())


def seeded_epochs(
    split: Split, count: int, batch: int, seed: int, augmentation: CropAndFlip | None = None
) -> Iterator[Iterator[tuple[Tensor, Tensor]]]:
    """``count`` epochs of batches in an order that only the seed decides, each without its last partial batch.

    Args:
        split: the examples.
        count: number of epochs.
        batch: number of examples per batch.
        seed: of the order and, by a generator of its own, of the augmentation: the order is the same without it.
        augmentation: changes each batch's images before they are standardized; by default nothing does.

    Raises:
        InputError: if ``batch`` is not between 1 and the number of examples, ``seed`` is no whole number of 64 bits, or
            what is no 8-bit images is augmented.
    """
    generator = _generator(seed)
    changes = _drawn_generator(_generator(seed))
    for _ in range(count):
        order = shuffled_batches(len(split), batch, generator)
        if augmentation is None:
            yield map(split.batch, order)
        else:
            # Of its own for every epoch: one that is not read to its end changes nothing in the next.
            yield _augmented(split, order, augmentation, _drawn_generator(changes))


def _augmented(
    split: Split, order: Iterator[Tensor], augmentation: CropAndFlip, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    return (split.augmented(indices, augmentation, generator) for indices in order)


def _generator(seed: int) -> torch.Generator:
    try:
        return torch.Generator().manual_seed(operator.index(seed))
    except (TypeError, ValueError):
        raise InputError(f"seed must be a whole number of 64 bits, not {seed!r}.") from None


def _drawn_generator(generator: torch.Generator) -> torch.Generator:
    """A generator with a seed that another one draws.

    A sum of a seed and a constant would not do: torch's CPU generator reads only the lowest 32 bits of a seed, and a
    near seed is another run's.
    """
    return torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """The training or the test examples of a data set, in standardized batches.

    Attributes:
        images: the inputs: uint8 images (N, C, H, W); or a user's floats (N, ...), already standardized, or tokens.
        labels: int64 for classes, float32 for a regression target, (N, ...).
        mean: mean of each channel, of pixels scaled to 0 … 1; empty for inputs that are not standardized.
        std: standard deviation of each channel, likewise.
        size: height and width to pad images to; None keeps their size.
        channels: number of channels of a batch: a standardized image of one channel is repeated; None keeps theirs.
    """

    images: Tensor
    labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int | None = None
    channels: int | None = None

    @classmethod
    def of(
        cls,
        data: DataSet,
        part: Literal["train", "test"],
        size: int | None = None,
        channels: int | None = None,
    ) -> Split:
        """One part of a data set; its inputs stay in the memory that all processes share.

        Raises:
            InputError: if ``part`` is neither "train" nor "test"; if a size or a number of channels is given for inputs
                that are no images; or if images of several channels should have another number.
        """
        if part not in ("train", "test"):
            raise InputError(f"part must be 'train' or 'test', not {part!r}.")
        images = _shared(data.train_images if part == "train" else data.test_images)
        shape, are_images = tuple(images.shape[1:]), images.ndim == 4 and images.dtype != torch.int64
        if size is not None and not are_images:
            raise InputError(f"inputs of shape {shape} are no images: they cannot be padded.")
        if channels is not None and not (are_images and channels >= 1 and shape[0] in (1, channels)):
            raise InputError(
                f"inputs of shape {shape} cannot be given {channels} channels: only images of one channel can be "
                "repeated."
            )
        labels = data.train_labels if part == "train" else data.test_labels
        kind = np.float32 if labels.dtype.kind == "f" else np.int64
        return cls(images, torch.from_numpy(labels.astype(kind)), data.mean, data.std, size, channels)

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Split:
        """The same examples in a device's memory, where batches are then put together."""
        return dataclasses.replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """The inputs and labels at ``indices`` (int64, (B,)); images as :func:`standardize` returns them."""
        indices = indices.to(self.labels.device)
        return self._prepared(self.images.index_select(0, indices)), self.labels.index_select(0, indices)

    def augmented(
        self, indices: Tensor, augmentation: CropAndFlip, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """As :meth:`batch`, of 8-bit images that are first padded to ``size``, then cropped and mirrored at random.

        Args:
            indices: int64, (B,).
            augmentation: changes the images.
            generator: the augmentation draws from it, on the CPU.

        Raises:
            InputError: if the inputs are no 8-bit images.
        """
        if self.images.dtype != torch.uint8:
            raise InputError(
                f"only 8-bit images can be cropped and mirrored, not inputs of {self.images.dtype}."
            )
        indices = indices.to(self.labels.device)
        images = padded(self.images.index_select(0, indices), self.size)
        return self._prepared(augmentation(images, generator)), self.labels.index_select(0, indices)

    def _prepared(self, inputs: Tensor) -> Tensor:
        inputs = self._standardized(inputs)
        if self.channels not in (None, inputs.shape[1]):
            return inputs.repeat(1, self.channels, 1, 1)
        return inputs

    def _standardized(self, inputs: Tensor) -> Tensor:
        if inputs.dtype == torch.uint8:
            nothing = ((0.0,) * inputs.shape[1], (1.0,) * inputs.shape[1])
            mean, std = (self.mean, self.std) if self.mean else nothing
            return standardize(inputs, mean, std, self.size)
        if self.size is None:
            return inputs
        # Zero in the user's own units, as with pixels.
        center, deviation = (torch.tensor(values, device=inputs.device) for values in (self.mean, self.std))
        return padded(inputs, self.size, -center / deviation if self.mean else None)

    def in_order(self, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All examples in the file's order, ``batch`` at a time; the last batch may be smaller."""
        return map(self.batch, torch.split(torch.arange(len(self)), batch))

    def first(self, n: int) -> Split:
        """The first ``n`` examples, without copying.

        Raises:
            InputError: if ``n`` is not between 1 and the number of examples.
        """
        if not 1 <= n <= len(self):
            raise InputError(f"n must be between 1 and the number of images, {len(self)}, not {n}.")
        return dataclasses.replace(self, images=self.images[:n], labels=self.labels[:n])


def _shared(array: np.ndarray) -> Tensor:
    """A tensor that shares an array's memory, or has a copy of it if that memory must not be written.

    Torch warns about a tensor over read-only memory, since it could write there. The cache's memory maps are
    copy-on-write, so a view of them may be declared writable: a write would change this process's own copy of the page,
    never the file.
    """
    view = array.view(np.ndarray)
    try:
        view.flags.writeable = True
    except ValueError:
        view = array.copy()
    return torch.from_numpy(view)
