"""A model whose forward pass a test provides, and the check that a model folds."""

import torch
from torch import nn

import normscope as ns
from normscope.nn.module_kinds import norms


class Wired(nn.Module):
    """A convolution and a norm of three channels, called by a function that a test provides."""

    def __init__(self, forward, **kept):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.steps = [forward]  # in a list, so that a copy keeps the function
        for name, value in kept.items():
            setattr(self, name, value)

    def forward(self, x):
        return self.steps[0](self, x)


def checked_fold(model, x, given=None):
    """The folded model, which has no norms and computes what the model computes on ``x``."""
    new = ns.fold(model, given)
    assert not list(norms(new))
    with torch.no_grad():
        mine, wanted = new(x), model(x)
    assert (mine - wanted).norm() < 1e-5 * wanted.norm()
    return new
