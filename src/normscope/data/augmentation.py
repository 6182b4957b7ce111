"""Random crops and flips of a batch of images, as He et al. 2016 train CIFAR-10 with."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from normscope.errors import InputError


@dataclasses.dataclass(frozen=True)
class CropAndFlip:
    """Crops each image at a random place and mirrors it with probability ½ (He et al. 2016, section 4.2).

    An image gets a black border of ``border`` pixels on every side. The crop has the image's own size; its place is
    uniform over the ``(2 border + 1)²`` places in the bordered image. Place and mirroring are drawn for each image.

    The border is pixels of 0, since images are cropped before they are standardized: a standardized border is
    ``(0 − mean) / std``, as black as a black pixel of the image.

    Attributes:
        border: pixels added on every side; 0 only mirrors.

    Raises:
        InputError: for a border that is not a whole number of at least 0.
    """

    border: int = 4

    def __post_init__(self) -> None:
        if not isinstance(self.border, int) or isinstance(self.border, bool) or self.border < 0:
            raise InputError(f"border must be a whole number of pixels, 0 or more, not {self.border!r}.")

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """The images, cropped and mirrored.

        Args:
            images: pixels that are not standardized yet, (B, C, H, W), on any device.
            generator: draws the places and the mirrorings; on the CPU, so that they are the same on every device.

        Returns:
            a new tensor of the images' type, shape and device.

        Raises:
            InputError: for images of another shape.
        """
        if images.ndim != 4:
            raise InputError(f"images must have the shape (B, C, H, W), not {tuple(images.shape)}.")
        count, channels, height, width = images.shape
        shifts = torch.randint(2 * self.border + 1, (2, count, 1), generator=generator).to(images.device)
        mirrored = torch.randint(2, (count, 1), generator=generator).to(images.device)
        row, column = (torch.arange(length, device=images.device) for length in (height, width))
        rows = shifts[0] + row
        columns = shifts[1] + torch.where(mirrored == 1, width - 1 - column, column)
        # One gather of flat places: several times faster than indexing by image, channel, row and column.
        places = rows[:, :, None] * (width + 2 * self.border) + columns[:, None, :]
        bordered = torch.nn.functional.pad(images, (self.border,) * 4)
        picked = bordered.flatten(2).gather(2, places.view(count, 1, height * width).expand(-1, channels, -1))
        return picked.view(count, channels, height, width)
