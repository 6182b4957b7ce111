"""Layers with the shapes of their inputs, and what ``backward`` leaves in a copy of a model."""

import copy

import torch
from torch import nn

import normscope as ns


def batch(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def squares(output, y):
    return (output - y).square().mean()


def backward(model, x, y, loss=squares):
    """A copy of the model after ``loss.backward()``."""
    model = copy.deepcopy(model)
    model.zero_grad()
    loss(model(x), y).backward()
    return model


class Twice(nn.Module):
    """Calls one layer twice."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(torch.tanh(self.layer(x)))


CONVOLUTIONS = [
    (nn.Conv1d(4, 6, 3, stride=2, groups=2), (3, 4, 9)),
    (nn.Conv2d(3, 5, (2, 3), padding=1, padding_mode="circular", dilation=(1, 2)), (2, 3, 6, 7)),
    (nn.Conv2d(4, 4, 3, groups=4, bias=False), (2, 4, 5, 5)),
    (nn.Conv3d(2, 3, 2), (2, 2, 3, 4, 3)),
    (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (2, 4, 3, 3)),
    (nn.Linear(3, 5), (4, 3)),
    (nn.Linear(3, 5), (4, 2, 3)),
    (Twice(nn.Conv2d(3, 3, 3, padding=1)), (2, 3, 5, 5)),
]
NORMS = [
    (nn.BatchNorm2d(3), (4, 3, 5, 5)),
    (nn.BatchNorm2d(3).eval(), (4, 3, 5, 5)),
    (nn.LayerNorm(4), (3, 7, 4)),
    (nn.GroupNorm(2, 4), (3, 4, 5)),
    (ns.nn.BatchNorm(3), (4, 3, 5, 5)),
]
