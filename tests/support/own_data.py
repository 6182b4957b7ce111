"""Data, losses and networks such as a user may write for a sweep; worker processes can import them."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def blobs(classes=4, height=12, width=16, train=96, test=32, seed=0):
    """Noisy pictures of three channels whose brightness is their class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, train + test)
    x = rng.integers(0, 60, (train + test, 3, height, width)) + 40 * y[:, None, None, None]
    x = x.clip(0, 255).astype(np.uint8)
    return (x[:train], y[:train]), (x[train:], y[train:])


def table(features=6, targets=(), scale=1.0, train=96, test=32):
    """A linear function of features of very different scales, with noise."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(train + test, features, generator=generator) * 10.0 ** torch.arange(features) + 3
    weights = torch.randn(features, *targets, generator=generator) / (10.0 ** torch.arange(features)).view(
        -1, *(1 for _ in targets)
    )
    y = scale * (
        torch.tensordot(x - 3, weights, 1) + 0.1 * torch.randn(train + test, *targets, generator=generator)
    )
    return {
        "train": DataLoader(TensorDataset(x[:train], y[:train]), batch_size=10),
        "validation": TensorDataset(x[train:], y[train:]),
    }


def series(channels=2, length=20, classes=3, train=64, test=32):
    """Sinusoids of one frequency a class."""
    rng = np.random.default_rng(0)
    y = np.arange(train + test) % classes
    time = np.arange(length) + rng.uniform(0, 6, (train + test, channels, 1))
    x = np.sin(time * (1 + y[:, None, None]) / 2).astype(np.float32)
    return (x[:train], y[:train]), (x[train:], y[train:])


def sentences(length=8, vocabulary=11, train=64, test=32, each=False):
    """Token ids; the label is the first token modulo 3, or for ``each`` position its token modulo 3."""
    x = np.random.default_rng(0).integers(0, vocabulary, (train + test, length))
    y = x % 3 if each else x[:, 0] % 3
    return (x[:train], y[:train]), (x[train:], y[train:])


def binary():
    """Three yes-or-no questions at once, as floats."""
    (x, _), (x2, _) = table()["train"].dataset.tensors, table()["validation"].tensors
    return (x, (x[:, :3] > 3).float()), (x2, (x2[:, :3] > 3).float())


def counts():
    """Labels that are whole numbers but can be taken as numbers."""
    (x, y), (x2, y2) = table()["train"].dataset.tensors, table()["validation"].tensors
    return (x, (y * 2).round().clamp(0, 9).long()), (x2, (y2 * 2).round().clamp(0, 9).long())


def spoiled():
    """A regression with one input that is not a number in every tenth example."""
    (x, y), test = table()["train"].dataset.tensors, table()["validation"]
    x[::10, 0] = float("nan")
    return (x, y), test


def colour(in_channels, shape, outputs, width=4):
    """For images of any size."""
    assert len(shape) == 3
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, outputs),
    )  # fmt: skip


def dense(features, outputs, width=8):
    return nn.Sequential(nn.Flatten(), nn.Linear(features, width), nn.ReLU(), nn.Linear(width, outputs))


def squeezed(features):
    """Gives (N,) instead of (N, 1)."""
    return nn.Sequential(nn.Linear(features, 1), nn.Flatten(0))


def temporal(in_channels, classes):
    return nn.Sequential(
        nn.Conv1d(in_channels, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(6, classes)
    )


def square(in_channels, image, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels * image**2, classes))


class Reader(nn.Module):
    """Tokens in, logits of the sentence or of each position out, (N, classes) or (N, classes, length)."""

    def __init__(self, vocabulary, classes, each=False):
        super().__init__()
        self.embed, self.head, self.each = nn.Embedding(vocabulary, 8), nn.Linear(8, classes), each

    def forward(self, x):
        y = self.embed(x)
        return self.head(y).transpose(1, 2) if self.each else self.head(y[:, 0])


def quartic(output, target, power=4):
    return ((output.flatten() - target.flatten()) ** power).mean()


def focal(output, target, gamma=2.0):
    """A loss of classes."""
    likelihood = nn.functional.log_softmax(output, 1).gather(1, target[:, None])
    return -((1 - likelihood.exp()) ** gamma * likelihood).mean()


def each_example(output, target):
    return (output - target) ** 2


def broken(output, target):
    raise RuntimeError("no loss today")
