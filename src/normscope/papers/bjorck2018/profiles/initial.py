"""What is measured at initialisation: the paper's depth and batch at every scale, since minutes suffice."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Self

from normscope.data import unpinned
from normscope.errors import InputError
from normscope.papers.shared import Profile, at_scales

if TYPE_CHECKING:
    from normscope.data import Facts

DEPTH = 110
"""The paper's network."""


class ResNetProfile(Profile):
    """The settings of an experiment with the paper's network, which takes images of three channels."""

    def on(self, facts: Facts) -> Self:
        """The settings on another data set.

        Raises:
            InputError: when its images have neither three channels nor one, which is repeated.
        """
        if facts.shape[0] not in (1, 3):
            raise InputError(
                f"{unpinned(facts.name)} has images of {facts.shape[0]} channels: the networks of Bjorck et al. take "
                "three, or one, which is repeated."
            )
        return super().on(facts)


@dataclasses.dataclass(frozen=True)
class InitialProfile(ResNetProfile):
    """The settings of a measurement at initialisation.

    Attributes:
        depth: of the network.
        batch: images in the batch.
    """

    depth: int = DEPTH
    batch: int = 128


WORDS = {
    "data": "{data}: a batch of {batch} of the first {images:,} training images, drawn by the seed; smaller images are "
    "padded to 32×32, one channel is repeated over three",
    "network": "the CIFAR ResNet of {depth} layers at its initialisation (Xavier)",
    "seeds": "{seeds}",
}

INITIAL = at_scales(
    WORDS,
    quick=InitialProfile("mnist5k", 4_000, 3),
    laptop=InitialProfile("cifar10", 10_000, 5),
    paper=InitialProfile("cifar10", 50_000, 5),
)
"""Figs. 2, 3, 4, 7, 13, 14, 18 to 23 and Tables 1 and 4."""
