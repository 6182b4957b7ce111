"""The catalogue: every experiment by name, with its source. Reading it imports nothing heavy."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterable

from normscope.errors import UnknownNameError
from normscope.papers.sources import CHAI2020 as _CHAI
from normscope.papers.sources import Paper
from normscope.protocol import Experiment


@dataclasses.dataclass(frozen=True)
class Entry:
    """A line of the catalogue.

    Attributes:
        id: the experiment's name, ``paper.figure``.
        module: where its ``EXPERIMENT`` stands.
        title: what it measures.
        paper: the source.
        place: the figure, table or section.
    """

    id: str
    module: str
    title: str
    paper: Paper
    place: str

    def load(self) -> Experiment:
        """The experiment itself."""
        experiment: Experiment = importlib.import_module(self.module).EXPERIMENT
        return experiment


ENTRIES = (
    Entry(
        "chai2020.natural_modes",
        "normscope.papers.chai2020.natural_modes",
        "decay of a convolution's natural modes under gradient descent, and the stability bound, against closed forms",
        _CHAI,
        "§3.1",
    ),
    Entry(
        "chai2020.channel_scaling",
        "normscope.papers.chai2020.fig4_channel_scaling",
        "blocks and eigenvalues of the input autocorrelation when channels are scaled, correlated and not",
        _CHAI,
        "§3.2, Fig. 4",
    ),
    Entry(
        "chai2020.fig5",
        "normscope.papers.chai2020.fig5",
        "power of the convolutions' channels before and after each variant of the norm",
        _CHAI,
        "Fig. 5",
    ),
    Entry(
        "chai2020.fig6",
        "normscope.papers.chai2020.fig6",
        "smallest eigenvalue of the second convolution's input autocorrelation after 5 steps, by learning rate",
        _CHAI,
        "Fig. 6",
    ),
    Entry(
        "chai2020.fig7",
        "normscope.papers.chai2020.fig7",
        "validation error by epoch at four learning rates",
        _CHAI,
        "Fig. 7",
    ),
    Entry(
        "chai2020.fig8",
        "normscope.papers.chai2020.fig8",
        "final validation error and largest eigenvalue after 5 steps, by learning rate",
        _CHAI,
        "Fig. 8",
    ),
    Entry(
        "chai2020.fig10",
        "normscope.papers.chai2020.fig10",
        "validation error by epoch, and its sensitivity to noise in the second convolution's local error",
        _CHAI,
        "Figs. 9 and 10",
    ),
    Entry(
        "chai2020.pmd",
        "normscope.papers.chai2020.pmd",
        "how close plain weight steps come to NLMS's, step by step",
        _CHAI,
        "§4, eqs. 7 to 10",
    ),
)


def find(pattern: str) -> list[Entry]:
    """The entries that a name stands for: one experiment, all below a dotted prefix, or ``"all"``.

    A prefix matches whole dotted parts: ``bjorck2018.fig1`` does not mean ``bjorck2018.fig10``.

    Raises:
        UnknownNameError: when there is none, with the nearest names.
    """
    found = below(pattern)
    if not found:
        papers = {entry.id.partition(".")[0] for entry in ENTRIES}
        raise UnknownNameError(
            "experiment", pattern, [*(entry.id for entry in ENTRIES), *sorted(papers), "all"]
        )
    return found


def below(pattern: str) -> list[Entry]:
    """As :func:`find`, but none where the name stands for nothing."""
    prefix = f"{pattern.removesuffix('.')}."
    return [entry for entry in ENTRIES if pattern in ("all", entry.id) or entry.id.startswith(prefix)]


def find_all(patterns: Iterable[str]) -> list[Entry]:
    """The entries of several patterns, each once, in the catalogue's order."""
    wanted = {entry.id for pattern in patterns for entry in find(pattern)}
    return [entry for entry in ENTRIES if entry.id in wanted]


def load(patterns: Iterable[str]) -> list[Experiment]:
    """The experiments of several patterns, each once, in the catalogue's order."""
    return [found.load() for found in find_all(patterns)]


def entry(id: str) -> Entry:
    """The entry of an exact name.

    Raises:
        UnknownNameError: when there is none, with the nearest names.
    """
    for candidate in ENTRIES:
        if candidate.id == id:
            return candidate
    raise UnknownNameError("experiment", id, [candidate.id for candidate in ENTRIES])
