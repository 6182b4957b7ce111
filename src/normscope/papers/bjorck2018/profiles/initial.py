"""What is measured at initialisation: the paper's depth and batch at every scale, since minutes suffice."""

import dataclasses

from normscope.papers.shared import Profile, at_scales

DEPTH = 110
"""The paper's network."""


@dataclasses.dataclass(frozen=True)
class InitialProfile(Profile):
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
