"""What every training run of the paper shares (Chai et al. 2020, Table 1 and §3.3).

MNIST digits zero-padded to 32×32, plain SGD on cross-entropy. Only the convolution weights take the swept learning
rate; norm parameters, convolution biases and the fully connected layer stay at 0.1. For a seed, every variant starts
from the same weights and sees the same batches. What the paper leaves open is fixed here: batches of 64, the last
partial batch dropped, the framework's default initialisation, black padding before standardisation.

This module imports torch: only a running cell imports it.
"""

from __future__ import annotations

from typing import Any

import torch

from normscope import devices, networks, training
from normscope.papers.shared.images import IMAGE, channels_and_classes
from normscope.papers.shared.training_run import TrainingRun


def lenet(seed: int, data: str = "mnist", **network: Any) -> networks.LeNet:
    """The LeNet with the weights of a seed, on the device of the cell.

    Two convolutions and poolings leave 400 = 16·5·5 features of its input. The weights are drawn on the CPU.

    Args:
        seed: of the weights.
        data: the data set, which decides the numbers of channels and of classes.
        network: other arguments of :func:`normscope.networks.lenet`.
    """
    channels, classes = channels_and_classes(data)
    with training.seeded(seed):
        model = networks.lenet(image=IMAGE, in_channels=channels, classes=classes, **network)
    return model.to(devices.current())


def start(
    settings: Any, train_output: bool = True, first_rate: float | None = None, **network: Any
) -> TrainingRun[networks.LeNet]:
    """A run of the LeNet with the recipe's optimiser, before its first step.

    Args:
        settings: the cell's configuration, with the fields ``rate`` and ``fixed_rate`` besides those of a
            :class:`~normscope.papers.shared.training_run.TrainingRun`.
        train_output: whether the fully connected layer is trained too.
        first_rate: the learning rate of the first convolution's weights; None for the swept rate.
        network: arguments of :func:`normscope.networks.lenet`.
    """
    model = lenet(settings.seed, settings.data, **network)
    return TrainingRun(settings, model, optimizer(model, settings, train_output, first_rate), IMAGE)


def optimizer(
    model: networks.LeNet, settings: Any, train_output: bool = True, first_rate: float | None = None
) -> torch.optim.SGD:
    """Plain SGD with the recipe's rates for a LeNet; the arguments are those of :func:`start`."""
    frozen = [] if train_output else list(model.fc.parameters())
    first = [model.get_parameter("conv1.weight")] if first_rate is not None else []
    groups = training.convolution_groups(model, settings.rate, settings.fixed_rate, [*frozen, *first])
    apart = [{"params": first, "lr": first_rate}] if first else []
    return torch.optim.SGD([*groups, *apart], lr=settings.rate, foreach=True)
