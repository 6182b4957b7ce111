"""Random crops and flips of a batch of images, as He et al. 2016 train CIFAR-10 with."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class CropAndFlip:
    """Crops at a random place of the image in a black border, mirrored with probability ½; both drawn for each image.

    Attributes:
        border: pixels added on every side before the crop, which has the image's size.
    """

    border: int = 4

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """The images, cropped and mirrored.

        Args:
            images: uint8, (B, C, H, W).
            generator: draws the places and the mirrorings, on the CPU.

        Returns:
            uint8, (B, C, H, W).
        """
        count, channels, height, width = images.shape
        shifts = torch.randint(2 * self.border + 1, (2, count, 1), generator=generator)
        mirrored = torch.randint(2, (count, 1), generator=generator, dtype=torch.bool)
        rows = shifts[0] + torch.arange(height)
        columns = shifts[1] + torch.where(mirrored, torch.arange(width - 1, -1, -1), torch.arange(width))
        side = width + 2 * self.border
        places = (rows[:, :, None] * side + columns[:, None, :]).view(count, 1, -1).to(images.device)
        bordered = torch.nn.functional.pad(images, (self.border,) * 4)
        picked = bordered.flatten(2).gather(2, places.expand(-1, channels, -1))
        return picked.view(count, channels, height, width)
