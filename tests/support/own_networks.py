"""Networks and norms such as a user may write, good and bad ones; worker processes can import them."""

import random

import numpy as np
import torch
from torch import nn


class HalvingNorm(nn.Module):
    """A norm that halves its input and has a weight."""

    def __init__(self, C, factor=0.5):
        super().__init__()
        self.factor = factor
        self.weight = nn.Parameter(torch.ones(C))

    def forward(self, x):
        return x * self.factor * self.weight[:, None, None]


def plain(in_channels, classes, image, width=4):
    """Has no norms and no parameter `norm`."""
    side = image // 4
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(width * side * side, classes),
    )  # fmt: skip


def normed():
    """Has a norm and a dropout, but no parameter `norm`."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, stride=3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


class TakesNorm(nn.Module):
    """Has a parameter `norm` but none for the place."""

    def __init__(self, norm="batch", *, classes=10, **rest):
        super().__init__()
        import normscope as ns

        assert not rest
        self.conv = nn.Conv2d(1, 3, 5, stride=3)
        self.norm = ns.nn.make(norm, 3)
        self.fc = nn.Linear(192, classes)

    def forward(self, x):
        return self.fc(self.norm(self.conv(x)).flatten(1))


def drawing_everywhere():
    """Draws its weights from the generators of Python, NumPy and torch."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    with torch.no_grad():
        model[1].bias[0], model[1].bias[1] = random.random(), np.random.rand()  # noqa: NPY002
    return model


def of_colour():
    return nn.Sequential(nn.Conv2d(3, 2, 5), nn.Flatten(), nn.Linear(2 * 24 * 24, 10))


def of_seven_classes():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 7))


def of_no_parameters():
    return nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(10))


def frozen():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).requires_grad_(False)


def of_sparse_gradients():
    return nn.Sequential(Pixels(), nn.EmbeddingBag(2, 10, sparse=True))


class Pixels(nn.Module):
    def forward(self, x):
        return (x.flatten(1) > 0).long()


def that_is_detached():
    class Detached(nn.Linear):
        def forward(self, x):
            return super().forward(x.flatten(1)).detach()

    return Detached(784, 10)


def of_two_answers():
    class Two(nn.Linear):
        def forward(self, x):
            y = super().forward(x.flatten(1))
            return y, y

    return Two(784, 10)


def that_raises():
    raise RuntimeError("there is\nno network today")


def that_leaves():
    raise SystemExit(3)


def of_no_module():
    return {"conv": 1}


finished = nn.Linear(784, 10)
number = 5


def of_one_layer():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
