"""What every training run of the paper shares: its data, its optimiser's groups, its batches, its validation.

All that a run draws at random comes from its seed: for a seed, every variant starts from the same weights and sees the
same batches (Chai et al. 2020, Table 1 and §3.3). This module imports torch: only a running cell imports it.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from normscope import data, training
from normscope.data.batches import Split, seeded_epochs

IMAGE = 32
"""Height and width of the network's input: two convolutions and poolings leave 400 = 16·5·5 features of it."""

_VALIDATION_BATCH = 500


def splits(name: str, images: int) -> tuple[Split, Split]:
    """The first ``images`` training images, and all test images, zero-padded to 32×32 before standardisation."""
    dataset = data.load(name)
    return Split.of(dataset, "train", IMAGE).first(images), Split.of(dataset, "test", IMAGE)


def sgd(
    model: nn.Module, rate: float, fixed_rate: float, untrained: Iterable[nn.Module] = ()
) -> torch.optim.SGD:
    """Plain SGD: ``rate`` for the convolutions' weights, ``fixed_rate`` for everything else.

    Args:
        model: the LeNet.
        rate: the swept learning rate.
        fixed_rate: of norm parameters, convolution biases and the fully connected layer.
        untrained: modules whose parameters stay as they are.
    """
    swept = [layer.weight for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    left_out = [*swept, *(parameter for module in untrained for parameter in module.parameters())]
    rest = [parameter for parameter in model.parameters() if all(parameter is not one for one in left_out)]
    groups = [{"params": swept, "lr": rate}, {"params": rest, "lr": fixed_rate}]
    return torch.optim.SGD(groups, lr=rate, foreach=True)


epochs = seeded_epochs
"""Batches in an order that only the seed decides."""


def validation_error(model: nn.Module, split: Split) -> float:
    """The share of a split's images that the model, in evaluation mode, puts into a wrong class."""
    return training.error_rate(model, split.in_order(_VALIDATION_BATCH))
