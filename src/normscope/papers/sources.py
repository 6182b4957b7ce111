"""The papers: how each is cited, and what it says in a paragraph. Reading it imports nothing heavy."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Paper:
    """A source of experiments.

    Attributes:
        id: its name, the first part of its experiments' names.
        authors: all of them, as they are to be cited.
        short: the authors as they are cited in passing.
        year: of publication.
        title: in full.
        venue: where it appeared.
        summary: what it asks and finds, in a paragraph of plain words.
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
        """The paper in passing: authors and year."""
        return f"{self.short} {self.year}"

    @property
    def reference(self) -> str:
        """The paper in full, but for the title."""
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
