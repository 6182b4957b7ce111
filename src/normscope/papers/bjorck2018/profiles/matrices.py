"""Products of random matrices and the linear network. They read no data, and have the paper's size at every scale."""

import dataclasses

from normscope.papers.shared import Profile, at_scales

SIZE = 1_000
"""Rows of the paper's matrices."""

FACTORS = 6
"""Matrices in the longest product: the condition number of a longer one is rounding, even in float64."""


@dataclasses.dataclass(frozen=True)
class MatrixProfile(Profile):
    """The settings of the products.

    Attributes:
        size: rows of the square matrices.
        factors: matrices in the longest product with Gaussian entries.
        others: matrices in the longest product with other entries.
    """

    data: str = ""
    images: int = 0
    seeds: int = 5
    size: int = SIZE
    factors: int = FACTORS
    others: int = FACTORS


_WORDS = {
    "matrices": "square, {size} rows, independent entries of variance 1/{size}, float64",
    "products": "of 1 to {factors} matrices with Gaussian entries",
    "seeds": "{seeds}, one draw each",
}

PRODUCTS = at_scales(
    _WORDS, quick=MatrixProfile(), laptop=MatrixProfile(seeds=10), paper=MatrixProfile(seeds=10)
)
"""Figs. 8, 9, 11 and 12."""

UNIVERSALITY = at_scales(
    {
        **_WORDS,
        "other entries": "uniform, ±1, and Gaussian of which 10 % or 1 % are not 0; products of 1 to {others} matrices",
    },
    quick=MatrixProfile(others=3),
    laptop=MatrixProfile(seeds=10),
    paper=MatrixProfile(seeds=10),
)
"""Fig. 10."""

SHARES = SLOW, BELOW, ABOVE = 0.5, 0.99, 1.01
"""The learning rates in units of the stability bound."""


@dataclasses.dataclass(frozen=True)
class NetworkProfile(Profile):
    """The settings of the linear network.

    Attributes:
        depths: numbers of layers of the networks.
        width: features between layers.
        examples: in the batch.
    """

    data: str = ""
    images: int = 0
    seeds: int = 3
    steps: int = 500
    depths: tuple[int, ...] = (1, 2, 4, 8, 16)
    width: int = 16
    examples: int = 64

    @property
    def layers(self) -> list[tuple[int, int]]:
        """Depth and number of the trained layer: the first, and the middle one where that is another."""
        return [(depth, layer) for depth in self.depths for layer in sorted({1, (depth + 1) // 2})]


LINEAR_NETWORK = at_scales(
    {
        "networks": "linear, of {depths} layers with {width} features, Gaussian weights of variance 1/{width}",
        "data": "{examples} Gaussian inputs and targets, all in every step",
        "training": "{steps} steps on the first or the middle layer alone, float64",
        "seeds": "{seeds}",
    },
    quick=NetworkProfile(),
    laptop=NetworkProfile(seeds=10),
    paper=NetworkProfile(seeds=10),
)
"""§4 and Appendix C."""
