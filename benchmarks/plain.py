"""LeNet training runs in plain PyTorch, to compare with the same runs as cells."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from normscope import data, networks
from normscope.papers.chai2020.cells.lenet import LeNetTraining

Digits = tuple[Tensor, Tensor, Tensor, Tensor]
"""Training images and labels, test images and labels; the images are float32, ready for the network."""


def digits(config: LeNetTraining) -> Digits:
    """The whole data set in memory, padded and standardised."""
    found = data.load(config.data)

    def prepared(images: Tensor) -> Tensor:
        padded = nn.functional.pad(images, (2, 2, 2, 2)).float() / 255
        return (padded - found.mean[0]) / found.std[0]

    x, y = torch.from_numpy(found.train_images.copy()), torch.from_numpy(found.train_labels.copy()).long()
    x_test, y_test = (
        torch.from_numpy(found.test_images.copy()),
        torch.from_numpy(found.test_labels.copy()).long(),
    )
    return prepared(x[: config.images]), y[: config.images], prepared(x_test), y_test


def in_memory(config: LeNetTraining, found: Digits) -> float:
    """Train with batches indexed from tensors in memory; returns the last validation error."""
    x, y, _, _ = found
    return _train(config, found, lambda order: ((x[indices], y[indices]) for indices in order))


def with_loader(config: LeNetTraining, found: Digits) -> float:
    """Train with batches from torch's ``DataLoader``; returns the last validation error."""
    dataset = TensorDataset(*found[:2])
    return _train(config, found, lambda order: DataLoader(dataset, batch_sampler=[i.tolist() for i in order]))


def _train(config: LeNetTraining, found: Digits, batches) -> float:
    x, _, x_test, y_test = found
    torch.manual_seed(config.seed)
    model = networks.lenet(norm=config.norm, place="after", image=32)
    model.pool = nn.AvgPool2d(2)  # torch's own, not our faster one
    tuned = [model.conv1.weight, model.conv2.weight]
    rest = [
        parameter
        for name, parameter in model.named_parameters()
        if name not in ("conv1.weight", "conv2.weight")
    ]
    optimizer = torch.optim.SGD(
        [{"params": tuned, "lr": config.rate}, {"params": rest, "lr": config.fixed_rate}], lr=config.rate
    )
    generator = torch.Generator().manual_seed(config.seed)
    error = 1.0
    for _ in range(config.epochs):
        model.train()
        total = 0.0
        order: Iterable[Tensor] = torch.randperm(len(x), generator=generator).split(config.batch)
        for images, labels in batches([indices for indices in order if len(indices) == config.batch]):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        model.eval()
        with torch.no_grad():
            parts = zip(x_test.split(500), y_test.split(500), strict=True)
            error = sum(int((model(x).argmax(1) != y).sum()) for x, y in parts) / len(x_test)
    return error
