"""The catalogue: every experiment by name, with its source. Importing this file imports nothing heavy.

To add an experiment, add one :class:`Entry`; a new paper is described in :mod:`normscope.papers.sources`.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterable

from normscope.errors import UnknownNameError
from normscope.papers.sources import CHAI2020, Paper
from normscope.protocol import Experiment


@dataclasses.dataclass(frozen=True)
class Entry:
    """A line of the catalogue.

    Attributes:
        id: the experiment's name, ``paper.figure``.
        title: what the experiment measures.
        paper: the source.
        place: the figure, table or section of the source.
        module: the module that defines the experiment as ``EXPERIMENT``; by default ``normscope.papers.<id>``.
    """

    id: str
    title: str
    paper: Paper
    place: str
    module: str = ""

    def load(self) -> Experiment:
        """Import the module and return its experiment."""
        module = importlib.import_module(self.module or f"normscope.papers.{self.id}")
        experiment: Experiment = module.EXPERIMENT
        return experiment


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


def find(pattern: str) -> list[Entry]:
    """The entries that a pattern matches: one experiment by its name, all below a dotted prefix, or ``"all"``.

    A prefix matches whole dotted parts: ``bjorck2018.fig1`` does not match ``bjorck2018.fig10``.

    Raises:
        UnknownNameError: when it matches none; the message offers the nearest names.
    """
    prefix = f"{pattern.removesuffix('.')}."
    found = [entry for entry in ENTRIES if pattern in ("all", entry.id) or entry.id.startswith(prefix)]
    if not found:
        papers = sorted({entry.paper.id for entry in ENTRIES})
        raise UnknownNameError("experiment", pattern, [*(entry.id for entry in ENTRIES), *papers, "all"])
    return found


def load(patterns: Iterable[str]) -> list[Experiment]:
    """The experiments that any of several patterns matches, each once, in the catalogue's order.

    Raises:
        UnknownNameError: when a pattern matches none.
    """
    wanted = {entry.id for pattern in patterns for entry in find(pattern)}
    return [entry.load() for entry in ENTRIES if entry.id in wanted]
