"""Figs. 4, 13, 14, 20 and 21: as :mod:`initial`, with more seeds, since what they compare varies from draw to draw."""

import dataclasses

from normscope.papers.bjorck2018.profiles.initial import WORDS, InitialProfile
from normscope.papers.shared import at_scales


@dataclasses.dataclass(frozen=True)
class ClassProfile(InitialProfile):
    """The settings of Figs. 20 and 21.

    Attributes:
        normed_seeds: how many seeds the network with BN has, of which nothing is claimed.
    """

    normed_seeds: int = 10


OUTPUTS = at_scales(
    WORDS,
    quick=InitialProfile("mnist5k", 4_000, 5),
    laptop=InitialProfile("cifar10", 10_000, 10),
    paper=InitialProfile("cifar10", 50_000, 10),
)
"""Figs. 4, 13 and 14."""

CLASSES = at_scales(
    {**WORDS, "seeds": "{seeds} without norms, {normed_seeds} with BN"},
    quick=ClassProfile("mnist5k", 4_000, 4, normed_seeds=1),
    laptop=ClassProfile("cifar10", 10_000, 10),
    paper=ClassProfile("cifar10", 50_000, 10),
)
"""Figs. 20 and 21: ten backward passes a seed."""
