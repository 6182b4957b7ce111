"""The papers: how each is cited, and a summary in one paragraph. Importing this file imports nothing heavy."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Paper:
    """A source of experiments.

    Attributes:
        id: the paper's name, which is the first part of its experiments' names.
        authors: all authors, as a list of references names them.
        short: the authors' surnames, as a text cites them.
        year: the year of publication.
        title: the full title.
        venue: where the paper appeared.
        summary: what the paper asks and finds, in one paragraph of plain words.
    """

    id: str
    authors: str
    short: str
    year: int
    title: str
    venue: str
    summary: str

    @property
    def citation(self) -> str:
        """The citation in a text: surnames and year."""
        return f"{self.short} {self.year}"

    @property
    def reference(self) -> str:
        """The reference without the title: authors, venue and year."""
        return f"{self.authors}. {self.venue}, {self.year}."


CHAI2020 = Paper(
    id="chai2020",
    authors="Elaina Chai, Mert Pilanci and Boris Murmann",
    short="Chai, Pilanci & Murmann",
    year=2020,
    title=(
        "Separating the Effects of Batch Normalization on CNN Training Speed and Stability "
        "Using Classical Adaptive Filter Theory"
    ),
    venue="arXiv:2002.10674",
    summary=(
        "Batch normalization makes networks learn faster and lets them bear higher learning rates. The paper asks "
        "whether these are one effect or two. It reads a convolution as an adaptive filter: its weight error splits "
        "into natural modes, one for each eigenvalue of the input's autocorrelation matrix. The smallest eigenvalue "
        "sets how slowly the slowest mode learns, the largest how high the learning rate may be before the fastest "
        "mode diverges. Two halves of batch normalization put this to the test: BN_Amplify only raises the power of "
        "weak channels, BN_Suppress only lowers the power of strong ones. The paper finds that the first brings the "
        "speed and the second the stability, and that in its first step batch normalization does what the normalized "
        "least-mean-squares filter (NLMS) does."
    ),
)

BJORCK2018 = Paper(
    id="bjorck2018",
    authors="Johan Bjorck, Carla Gomes, Bart Selman and Kilian Q. Weinberger",
    short="Bjorck, Gomes, Selman & Weinberger",
    year=2018,
    title="Understanding Batch Normalization",
    venue="NeurIPS 2018, arXiv:1806.02375",
    summary=(
        "The paper asks why batch normalization works, and answers: because it makes high learning rates possible, "
        "and these regularize. It takes a residual network of 110 layers apart at its initialisation. Without norms, "
        "the activations grow with depth, one class is favoured whatever the image, and the gradients of images and "
        "positions point the same way and add up; with batch normalization they nearly cancel. Along a step that makes "
        "the unnormalized network diverge, the moments of its upper layers explode. The paper traces the growth to the "
        "spectra of products of random matrices, whose condition grows with the number of factors."
    ),
)
