"""The deep linear network of Bjorck et al. 2018, §4: matrices one after another, without anything between them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from normscope.networks.placement import Place, check_place, check_sizes, chosen_layers
from normscope.nn import make
from normscope.nn.factory import NormSpec


class LinearUnit(nn.Module):
    """A linear layer without bias between its norms: ``before``, ``linear``, ``norm``."""

    def __init__(self, before: nn.Module, linear: nn.Linear, norm: nn.Module) -> None:
        super().__init__()
        self.before, self.linear, self.norm = before, linear, norm

    def forward(self, x: Tensor) -> Tensor:
        """Shapes: (N, in) in, (N, out) out."""
        y: Tensor = self.norm(self.linear(self.before(x)))
        return y


class DeepLinear(nn.Module):
    """Hidden linear layers and a last one, without biases and nonlinearities.

    Made by :func:`deep_linear`. Shapes: (N, in_features) or (N, …) of as many numbers in, (N, classes) out.
    """

    def __init__(self, hidden: Iterable[LinearUnit], top: nn.Module, fc: nn.Linear) -> None:
        super().__init__()
        self.hidden = nn.Sequential(*hidden)
        self.top, self.fc = top, fc

    @property
    def linear_layers(self) -> list[nn.Linear]:
        """The layers A_1 … A_t in the order in which they are applied."""
        return [*(cast(LinearUnit, unit).linear for unit in self.hidden), self.fc]

    def forward(self, x: Tensor) -> Tensor:
        """``A_t … A_2 A_1 x`` of every row x of the batch, with the norms between; images are flattened."""
        y: Tensor = self.fc(self.top(self.hidden(x.flatten(1))))
        return y


def deep_linear(
    depth: int = 8,
    width: int = 64,
    norm: NormSpec = "batch",
    place: Place = "after",
    layers: Iterable[int] | None = None,
    in_features: int | None = None,
    classes: int | None = None,
) -> DeepLinear:
    """The linear network ``A_t … A_2 A_1 x`` of Bjorck et al. 2018, §4, with norms between its layers if wanted.

    Weights are drawn by Xavier's rule, standard deviation √(2/(in + out)), from torch's global generator: seed it, or
    fork it, before the call. A square matrix has entries of variance 1/width, those of the paper's Theorem 1
    (:mod:`normscope.theory.random_matrices`). Norms draw nothing from the generator, so the same seed produces the same
    weights for every norm and place. No layer has a bias; without norms the network is a product of matrices.

    Args:
        depth: t, the number of linear layers, the last one included.
        width: number of features between the layers.
        norm: a spec for :func:`normscope.nn.make`, or a callable from a number of channels to a module. ``"none"`` is
            the paper's network.
        place: ``"after"`` each layer but the last; ``"before"`` each layer but the last; ``"prior"``, as ``"before"``
            without the first; ``"top"``, only before the last layer.
        layers: numbers of the layers that get the norm, from 1 to depth − 1; by default all that ``place`` implies.
        in_features: number of features of the input; by default ``width``.
        classes: number of outputs; by default ``width``.

    Raises:
        UnknownNameError: for a norm or place that does not exist.
        InputError: for a layer that does not exist, or a size that is not a whole number of at least 1.
    """
    check_place(place)
    before = width if in_features is None else in_features
    after = width if classes is None else classes
    check_sizes(depth=depth, width=width, in_features=before, classes=after)
    # Drawn first, so that a norm that draws numbers cannot change the weights.
    generator = torch.Generator().manual_seed(int(torch.randint(2**62, (), device="cpu")))
    normed = chosen_layers(layers, depth - 1, place)
    sizes = [before, *[width] * (depth - 1)]

    def unit(number: int) -> LinearUnit:
        here = place if number in normed else None
        inner, outer = sizes[number - 1 : number + 1]
        return LinearUnit(
            make(norm, inner) if here in ("before", "prior") else nn.Identity(),
            _layer(inner, outer, generator),
            make(norm, outer) if here == "after" else nn.Identity(),
        )

    hidden = [unit(number) for number in range(1, depth)]
    top = make(norm, sizes[-1]) if place == "top" else nn.Identity()
    return DeepLinear(hidden, top, _layer(sizes[-1], after, generator))


def _layer(inner: int, outer: int, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(inner, outer, bias=False)
    nn.init.xavier_normal_(layer.weight, generator=generator)
    return layer
