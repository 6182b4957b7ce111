import copy
import types

import numpy as np
import pytest
import torch
from torch import nn

from normscope import data


@pytest.fixture(autouse=True)
def _one_thread():
    """Cells run as in a worker process, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class PlainLeNet:
    """An arrangement of Fig. 9 in plain PyTorch. It shares nothing with the cells but the data and the seeds.

    Args:
        name: the arrangement, in any of its readings.
        rate: the convolution weights' learning rate; everything else takes 0.1, and the output layer none.
        seed: of the weights.
    """

    def __init__(self, name, rate, seed=0):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.first, self.second, self.head = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5), nn.Linear(400, 10)
        self.before = nn.BatchNorm2d(6) if name.startswith("prior") else nn.Identity()
        self.after = nn.BatchNorm2d(16) if name.startswith("batch") else nn.Identity()
        self.nlms = next((kind for kind in ("l1", "l2") if f"nlms_{kind}" in name), None)
        self.power = "sum" if name.endswith("_sum") else "mean"
        self.eps = 1.0 if name.endswith("_eps") else 1e-2
        self.rates = (0.1 if name.endswith("_first") else rate, rate)

    def raw(self, x):
        """What reaches the second convolution, or the norm before it."""
        return nn.functional.avg_pool2d(torch.relu(self.first(x)), 2)

    def logits(self, out):
        """The logits of the second convolution's output."""
        return self.head(nn.functional.avg_pool2d(torch.relu(self.after(out)), 2).flatten(1))

    def step(self, x, y, noise=0.0, generator=None):
        """A step of descent; returns its loss. ``x_raw``, ``x_in``, ``error`` and ``plain`` are of the point before."""
        for module in (self.first, self.second, self.head, self.before, self.after):
            module.train().zero_grad()
        raw = self.raw(x)
        hidden = self.before(raw)
        out = self.second(hidden)
        out.retain_grad()
        loss = nn.functional.cross_entropy(self.logits(out), y)
        loss.backward()
        self.x_raw, self.x_in, self.error = raw.detach(), hidden.detach(), out.grad
        self.plain = self.second.weight.grad.clone()
        error = out.grad
        if noise:
            drawn = torch.randn(error.shape, generator=generator)
            error = error + noise * error.std(correction=0) * drawn
        if self.nlms:
            self.second.weight.grad = nlms(self.x_in, error, self.nlms, self.power, self.eps)
        elif noise:
            patches = nn.functional.unfold(self.x_in, 5)
            gradient = torch.einsum("nom,nkm->ok", error.flatten(2), patches)
            self.second.weight.grad = gradient.view_as(self.second.weight)
        with torch.no_grad():
            self.first.weight -= self.rates[0] * self.first.weight.grad
            self.second.weight -= self.rates[1] * self.second.weight.grad
            rest = [self.first.bias, self.second.bias, *self.before.parameters(), *self.after.parameters()]
            for parameter in rest:
                parameter -= 0.1 * parameter.grad
        return loss.item()

    @torch.no_grad()
    def test_logits(self, x):
        """The logits in evaluation mode."""
        self.before.eval(), self.after.eval()
        return self.logits(self.second(self.before(self.raw(x)))).double()

    def copy(self):
        """A network that goes on from here by itself."""
        return copy.deepcopy(self)


def nlms(x, error, kind="l2", power="mean", eps=1e-2):
    """Eqs. 7 to 9 from unfolded patches: the sum over batch and positions, (O, C, 5, 5)."""
    patches = nn.functional.unfold(x, 5).view(len(x), x.shape[1], 25, -1)
    sizes = patches.abs() if kind == "l1" else patches.square()
    size = sizes.mean(2) if power == "mean" else sizes.sum(2)
    scaled = (patches / (eps + size).unsqueeze(2)).flatten(1, 2)
    return torch.einsum("nom,nkm->ok", error.flatten(2), scaled).view(-1, x.shape[1], 5, 5)


def digits(part, count=None):
    """The first digits of a part of mnist5k, padded to 32×32 and standardised without normscope; and their labels."""
    found = data.load("mnist5k")
    images, labels = (getattr(found, f"{part}_{kind}")[:count] for kind in ("images", "labels"))
    pixels = np.pad(np.asarray(images), ((0, 0), (0, 0), (2, 2), (2, 2)))
    x = (torch.from_numpy(pixels).float() / 255 - 0.1307) / 0.3081
    return x, torch.from_numpy(np.array(labels)).long()


def epochs_of_batches(count, epochs, seed=0):
    """The batches of 64 of the first training digits, epoch after epoch, in the order of the seed."""
    x, y = digits("train", count)
    generator = torch.Generator().manual_seed(seed)
    return [
        (x[batch], y[batch])
        for _ in range(epochs)
        for batch in torch.randperm(count, generator=generator)[: count // 64 * 64].split(64)
    ]


@pytest.fixture
def by_hand():
    """The tests' own network, NLMS step, digits and batches."""

    return types.SimpleNamespace(network=PlainLeNet, nlms=nlms, digits=digits, batches=epochs_of_batches)


@pytest.fixture
def losses_of(monkeypatch):
    """Runs a cell and returns the losses of the steps that it trains, in their order."""
    from normscope import training

    original = training.train

    def run(function, config):
        losses = []

        def listening(*arguments, after_step=None, **options):
            def hear(step, loss):
                losses.append(loss)
                if after_step is not None:
                    after_step(step, loss)

            return original(*arguments, after_step=hear, **options)

        monkeypatch.setattr(training, "train", listening)
        function(config)
        monkeypatch.setattr(training, "train", original)
        return losses

    return run
