"""The paper's network at its initialisation, and the batch on which it is measured.

The original CIFAR ResNet, Xavier's initialisation, batches of 128 standardised images. Images of one channel are
repeated over three, and smaller ones are padded with black to 32×32. This module imports torch: only a running cell
imports it.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from normscope import data, devices, networks
from normscope.data.batches import Split
from normscope.generators import seeded
from normscope.networks import ResNet
from normscope.papers.shared.images import IMAGE, facts_of

CHANNELS = 3


@dataclasses.dataclass(frozen=True)
class Start:
    """A network at its initialisation and a batch, on the cell's device.

    Attributes:
        model: in training mode; the weights are drawn from the seed and are the same for every norm.
        x: standardised images, (B, 3, 32, 32).
        y: their labels, (B,).
        classes: number of classes.
    """

    model: ResNet
    x: Tensor
    y: Tensor
    classes: int


def network(config: Any) -> ResNet:
    """The network of a configuration, in training mode, on the cell's device.

    Args:
        config: with the fields ``norm``, ``place``, ``depth``, ``seed`` and ``data``.
    """
    classes = facts_of(config.data).outputs
    with seeded(config.seed):
        model = networks.resnet(config.depth, config.norm, config.place, classes=classes)
    # On the CPU, convolutions are a fifth faster with the channels last.
    model = model.train().to(devices.current())
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def training_images(name: str, count: int) -> Split:
    """The first ``count`` training images of a data set, on the cell's device."""
    return Split.of(data.load(name), "train", IMAGE, CHANNELS).first(count).to(devices.current())


def test_images(name: str, count: int) -> Split:
    """The first ``count`` test images of a data set, on the cell's device."""
    return Split.of(data.load(name), "test", IMAGE, CHANNELS).first(count).to(devices.current())


def sgd(model: ResNet, rate: float) -> torch.optim.SGD:
    """The paper's optimiser at a learning rate."""
    return torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4)


def start(config: Any) -> Start:
    """The network and a batch drawn by the seed, without replacement, from the first training images.

    Args:
        config: with the fields of :class:`~normscope.papers.bjorck2018.cells.configuration.AtInitialisation`.
    """
    images = training_images(config.data, config.images)
    generator = torch.Generator().manual_seed(config.seed)
    x, y = images.batch(torch.randperm(len(images), generator=generator)[: config.batch])
    x = x.contiguous(memory_format=torch.channels_last)
    return Start(network(config), x, y, facts_of(config.data).outputs)
