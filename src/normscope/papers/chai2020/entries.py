"""The experiments of Chai et al. 2020, by name."""

from normscope.papers.entry import Entry
from normscope.papers.sources import CHAI2020

ENTRIES = (
    Entry(
        "chai2020.natural_modes",
        "decay of a convolution's natural modes under gradient descent, and the stability bound, against closed forms",
        CHAI2020,
        "§3.1",
    ),
    Entry(
        "chai2020.channel_scaling",
        "blocks and eigenvalues of the input autocorrelation when channels are scaled, correlated and not",
        CHAI2020,
        "§3.2, Fig. 4",
        module="normscope.papers.chai2020.fig4_channel_scaling",
    ),
    Entry(
        "chai2020.fig5",
        "power of the convolutions' channels before and after each variant of the norm",
        CHAI2020,
        "Fig. 5",
    ),
    Entry(
        "chai2020.fig6",
        "smallest eigenvalue of the second convolution's input autocorrelation after 5 steps, by learning rate",
        CHAI2020,
        "Fig. 6",
    ),
    Entry("chai2020.fig7", "validation error by epoch at four learning rates", CHAI2020, "Fig. 7"),
    Entry(
        "chai2020.fig8",
        "final validation error and largest eigenvalue after 5 steps, by learning rate",
        CHAI2020,
        "Fig. 8",
    ),
    Entry(
        "chai2020.fig10",
        "validation error by epoch, and its sensitivity to noise in the second convolution's local error",
        CHAI2020,
        "Figs. 9 and 10",
    ),
    Entry(
        "chai2020.pmd",
        "how close plain weight steps come to NLMS's, step by step",
        CHAI2020,
        "§4, eqs. 7 to 10",
    ),
)
