"""The LeNet of Chai et al. 2020, Table 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from normscope.errors import InputError
from normscope.networks.placement import ConvFactory, Place, check_place, chosen_layers, conv_factory
from normscope.networks.pooling import AveragePool
from normscope.nn import make
from normscope.nn.factory import NormSpec

_CHANNELS = (6, 16)
_KERNEL = 5


class LeNet(nn.Module):
    """Two 5×5 convolutions, each with ReLU and 2×2 average pooling, and one fully connected layer.

    Made by :func:`lenet`. Shapes: ``(N, in_channels, image, image)`` in, logits ``(N, classes)`` out.
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
            return make(norm, channels) if place in places and number in layers else nn.Identity()

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
    """The LeNet of Chai et al. 2020, Table 1, with the framework's default initialization.

    Convolution 1→6 5×5, ReLU, average pool 2, convolution 6→16 5×5, ReLU, average pool 2, fully connected 400→10. The
    weights come from torch's global generator: seed it, or fork it, before the call. Norms draw nothing from it, so the
    same seed produces the same weights for every norm and place. The pooling is a matrix product
    (:mod:`normscope.networks.pooling`), in which a value that is not finite spreads along its row.

    Args:
        norm: a spec for :func:`normscope.nn.make`, or a callable from a number of channels to a module.
        place: ``"after"`` each convolution, before its ReLU (Chai, Fig. 9b); ``"before"`` each convolution;
            ``"prior"``, before each convolution but the first (Chai's BN_Prior, Fig. 9d); ``"top"``, before the last
            pooling and the fully connected layer.
        layers: numbers of the convolutions that get the norm, counted from 1; by default all that ``place`` implies.
        conv: makes the convolutions, called as ``conv(in_channels, out_channels, kernel_size)``; or a mapping from a
            convolution's number to its own factory.
        in_channels: number of channels of the image.
        classes: number of logits.
        image: height and width of the image, one number; Chai's digits of 28×28 are zero-padded to 32×32.

    Raises:
        UnknownNameError: for a norm or place that does not exist.
        InputError: for a layer that does not exist, or an image size that is too small or not a whole number.
    """
    check_place(place)
    if not isinstance(image, int):
        raise InputError(f"image must be one whole number, height and width of the image, not {image!r}.")
    return LeNet(norm, place, chosen_layers(layers, 2, place), conv, in_channels, classes, image)
