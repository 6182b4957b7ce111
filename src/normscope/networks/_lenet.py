"""The LeNet of Chai et al. 2020, Table 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from normscope.errors import InputError
from normscope.networks.placement import (
    ConvFactory,
    NormSpec,
    Place,
    check_place,
    chosen_layers,
    conv_factory,
    make_norm,
)
from normscope.networks.pooling import AveragePool

_CHANNELS = (6, 16)
_KERNEL = 5


class LeNet(nn.Module):
    """Two 5×5 convolutions, each with ReLU and 2×2 average pooling, and one fully connected layer.

    Made by :func:`lenet`. Shapes: ``(N, in_channels, image, image)`` in, ``(N, classes)`` logits out.
    """

    def __init__(
        self,
        norm: NormSpec,
        place: Place,
        layers: frozenset[int],
        conv: ConvFactory | Mapping[int, ConvFactory] | None,
        in_channels: int,
        classes: int,
        image: int,
    ) -> None:
        super().__init__()
        first, second = _CHANNELS
        side = (((image - _KERNEL + 1) // 2) - _KERNEL + 1) // 2
        if side < 1:
            raise InputError(f"images of {image}×{image} pixels are too small for LeNet: at least 16×16.")

        def norm_at(number: int, *places: Place, channels: int) -> nn.Module:
            return make_norm(norm, channels) if place in places and number in layers else nn.Identity()

        self.before1 = norm_at(1, "before", "prior", channels=in_channels)
        self.conv1 = conv_factory(conv, 1)(in_channels, first, _KERNEL)
        self.norm1 = norm_at(1, "after", channels=first)
        self.top1 = norm_at(1, "top", channels=first)
        self.before2 = norm_at(2, "before", "prior", channels=first)
        self.conv2 = conv_factory(conv, 2)(first, second, _KERNEL)
        self.norm2 = norm_at(2, "after", channels=second)
        self.top2 = norm_at(2, "top", channels=second)
        self.pool = AveragePool()
        self.fc = nn.Linear(second * side * side, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, classes)`` of images ``(N, in_channels, image, image)``."""
        x = self.pool(self.top1(torch.relu(self.norm1(self.conv1(self.before1(x))))))
        x = self.pool(self.top2(torch.relu(self.norm2(self.conv2(self.before2(x))))))
        logits: Tensor = self.fc(x.flatten(1))
        return logits


def lenet(
    norm: NormSpec = "batch",
    place: Place = "after",
    layers: Iterable[int] | None = None,
    conv: ConvFactory | Mapping[int, ConvFactory] | None = None,
    in_channels: int = 1,
    classes: int = 10,
    image: int = 32,
) -> LeNet:
    """The LeNet of Chai et al. 2020, Table 1, with the framework's default initialisation.

    Convolution 1→6 5×5, ReLU, average pool 2, convolution 6→16 5×5, ReLU, average pool 2, fully connected 400→10.
    The weights come from torch's global generator: seed it, or fork it, before the call. Norms draw nothing from it,
    so the same seed gives the same weights for every norm and place. The pooling is a matrix product (see
    :mod:`normscope.networks.pooling`), where one value that is not finite takes its row along.

    Args:
        norm: a spec for :func:`normscope.nn.make`, or a callable from a channel count to a module.
        place: ``"after"`` each convolution, before its ReLU (Chai, Fig. 9b); ``"before"`` each convolution;
            ``"prior"``, before each convolution but the first (Chai's BN_Prior, Fig. 9d); ``"top"``, before the last
            pooling and the fully connected layer.
        layers: which convolutions get the norm, counted from 1; by default all that ``place`` means.
        conv: makes the convolutions, called as ``conv(in_channels, out_channels, kernel_size)``; or a mapping from a
            convolution's number to what makes that one.
        in_channels: channels of the image.
        classes: number of logits.
        image: height and width of the image, one number; Chai's digits of 28×28 are zero-padded to 32×32.

    Raises:
        InputError: for an unknown norm or place, a layer there is not, or an image size that is no whole number or too
            small.
    """
    check_place(place)
    if not isinstance(image, int):
        raise InputError(f"image must be one whole number, height and width of the image, not {image!r}.")
    return LeNet(norm, place, chosen_layers(layers, 2, place), conv, in_channels, classes, image)
