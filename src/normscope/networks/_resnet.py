"""The original CIFAR residual network of depth 6n+2 (He et al. 2016), as Bjorck et al. 2018 use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count

import torch
from torch import Tensor, nn

from normscope.errors import InputError
from normscope.networks.placement import (
    ConvFactory,
    Place,
    check_place,
    check_sizes,
    chosen_layers,
    conv_factory,
)
from normscope.nn import make, module_kinds
from normscope.nn.factory import NormSpec

_WIDTHS = (16, 32, 64)


class ConvUnit(nn.Module):
    """A 3×3 convolution between its norms: ``before``, ``conv``, ``norm``.

    The convolution has a bias only if no norm follows, since a norm would subtract it.
    """

    def __init__(self, before: nn.Module, conv: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.before, self.conv, self.norm = before, conv, norm

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: (N, C, H, W) in, (N, C', H/stride, W/stride) out."""
        y: Tensor = self.norm(self.conv(self.before(x)))
        return y


class Block(nn.Module):
    """Two convolutions and a shortcut without parameters: subsampled by the stride, padded with zero channels."""

    def __init__(self, first: ConvUnit, second: ConvUnit, stride: int, more_channels: int) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.stride, self.more_channels = stride, more_channels
        self.sum = (
            nn.Identity()
        )  # Its output is the sum before the ReLU, where instruments can read it by name.

    def forward(self, x: Tensor) -> Tensor:
        """``ReLU(shortcut(x) + second(ReLU(first(x))))``."""
        branch = self.second(torch.relu(self.first(x)))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        if self.more_channels:
            shortcut = nn.functional.pad(shortcut, (0, 0, 0, 0, 0, self.more_channels))
        return torch.relu(self.sum(branch + shortcut))


class ResNet(nn.Module):
    """A stem, residual blocks, average pooling and a linear layer.

    Made by :func:`resnet`. Shapes: (N, in_channels, H, W) in, logits (N, classes) out.
    """

    def __init__(self, stem: ConvUnit, blocks: Iterable[Block], top: nn.Module, classes: int) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = nn.Sequential(*blocks)
        self.top = top
        self.fc = nn.Linear(_WIDTHS[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, in_channels, H, W)."""
        x = self.top(self.blocks(torch.relu(self.stem(x))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def resnet(
    depth: int = 110,
    norm: NormSpec = "batch",
    place: Place = "after",
    layers: Iterable[int] | None = None,
    conv: ConvFactory | Mapping[int, ConvFactory] | None = None,
    in_channels: int = 3,
    classes: int = 10,
) -> ResNet:
    """The CIFAR residual network of depth 6n+2: 3×3 convolutions of 16, 32 and 64 channels, n blocks each.

    Shortcuts have no parameters (stride-2 subsampling, zero-padded channels). Global average pooling and one fully
    connected layer follow. Weights are drawn by Xavier's rule, standard deviation √(2/(fan_in + fan_out)), from torch's
    global generator: seed it, or fork it, before the call. Norms draw nothing from it, so the same seed produces the
    same weights for every norm and place. ``norm="none"`` is Bjorck et al.'s unnormalized network.

    Args:
        depth: 6n+2, such as 20, 32, 44, 56 or 110.
        norm: a spec for :func:`normscope.nn.make`, or a callable from a number of channels to a module.
        place: ``"after"`` each convolution; ``"before"`` each convolution; ``"prior"``, before each but the first;
            ``"top"``, only before the average pooling and the fully connected layer (Bjorck, Fig. 15).
        layers: numbers of the convolutions that get the norm, from 1 to depth − 1; by default all that ``place``
            implies.
        conv: makes the convolutions, called as ``nn.Conv2d`` is; or a mapping from a convolution's number to its own
            factory.
        in_channels: number of channels of the image.
        classes: number of logits.

    Raises:
        UnknownNameError: for a norm or place that does not exist.
        InputError: for a depth that is not 6n+2, a layer that does not exist, or a size that is not a whole number of
            at least 1.
    """
    check_place(place)
    check_sizes(depth=depth, in_channels=in_channels, classes=classes)
    if depth < 8 or (depth - 2) % 6:
        raise InputError(f"a CIFAR ResNet's depth is 6n+2 (8, 14, 20, 32, 56, 110, …), not {depth}.")
    normed = chosen_layers(layers, depth - 1, place)
    # Drawn first, since building a convolution with a bias draws more numbers than building one without.
    generator = torch.Generator().manual_seed(int(torch.randint(2**62, (), device="cpu")))
    numbers = count(1)

    def unit(before: int, after: int, stride: int) -> ConvUnit:
        number = next(numbers)
        here = place if number in normed else None
        follows = here == "after" and norm != "none"
        convolution = conv_factory(conv, number)(before, after, 3, stride=stride, padding=1, bias=not follows)
        return ConvUnit(
            make(norm, before) if here in ("before", "prior") else nn.Identity(),
            convolution,
            make(norm, after) if follows else nn.Identity(),
        )

    def block(before: int, after: int, stride: int) -> Block:
        return Block(unit(before, after, stride), unit(after, after, 1), stride, after - before)

    stem = unit(in_channels, _WIDTHS[0], 1)
    blocks, before = [], _WIDTHS[0]
    for width in _WIDTHS:
        for _ in range((depth - 2) // 6):
            blocks.append(block(before, width, 1 if width == before else 2))
            before = width
    top = make(norm, before) if place == "top" else nn.Identity()
    model = ResNet(stem, blocks, top, classes)
    for _, layer in module_kinds.layers(model):
        nn.init.xavier_normal_(layer.weight, generator=generator)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return model
