"""Tables 1 and 4 and Figs. 22 and 23: more seeds than other measurements at initialisation.

Without norms, gradients differ by a factor of ten and more between seeds, and the cancellation of their terms by a
factor of two.
"""

from normscope.papers.bjorck2018.profiles.initial import WORDS, InitialProfile
from normscope.papers.shared import at_scales

TABLE1 = at_scales(
    WORDS,
    quick=InitialProfile("mnist5k", 4_000, 3),
    laptop=InitialProfile("cifar10", 10_000, 16),
    paper=InitialProfile("cifar10", 50_000, 16),
)

WEIGHTS = at_scales(
    WORDS,
    quick=InitialProfile("mnist5k", 4_000, 5),
    laptop=InitialProfile("cifar10", 10_000, 5),
    paper=InitialProfile("cifar10", 50_000, 5),
)
"""Figs. 22 and 23."""
