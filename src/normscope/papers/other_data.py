"""A paper's experiment on other data than the paper's: the same cells, claims and figure, under a name of its own.

Its name is ``<experiment>@<data set>``, so its results never take the place of the paper's own.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from normscope import data
from normscope.data import own
from normscope.data.names import own_name
from normscope.errors import InputError
from normscope.papers.shared.images import facts_here, facts_of, refuse_unfit
from normscope.papers.shared.profiles import Profile
from normscope.protocol import Cell, Claim, Experiment, FixedExperiment, Scale

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SEPARATOR = "@"
_LONGEST_LABEL = 24
_PIN_DIGITS = 8


@dataclasses.dataclass(frozen=True)
class OnOtherData:
    """An experiment of a paper, run on another data set than its scale's own.

    Attributes:
        experiment: the paper's experiment.
        data: the data set; the name of a user's own data is pinned to their content.
    """

    experiment: FixedExperiment[Profile]
    data: str

    @property
    def id(self) -> str:
        """The experiment's name, ``@``, and the data set's name or what is short and unique of it."""
        return f"{self.experiment.id}{SEPARATOR}{_label(self.data)}"

    @property
    def question(self) -> str:
        """The paper's question."""
        return self.experiment.question

    @property
    def method(self) -> str:
        """The paper's method."""
        return self.experiment.method

    @property
    def caption(self) -> str:
        """The caption of the paper's figure."""
        return self.experiment.caption

    def is_here(self) -> bool:
        """Whether the data are known here without running anything of the user's own."""
        mine = own_name(self.data)
        return mine is None or own.present(mine) is not None

    def profile(self, scale: Scale) -> Profile:
        """The scale's settings on this data set, with no more training images than it has."""
        usual, facts = self.experiment.profile(scale), facts_here(self.data)
        described = _literal(f"{self.note(scale)}: {facts.describe()}")
        return dataclasses.replace(usual.on(facts), words={**usual.words, "run on": described})

    def note(self, scale: Scale) -> str:
        """What everything that shows a verdict says of the data, in a clause."""
        papers, usual = (self.experiment.profile(one).data for one in (Scale.PAPER, scale))
        if self.data == papers:
            return f"judged on {papers}, the paper's data, in place of {usual}, which the {scale} scale has"
        return f"judged on {data.unpinned(self.data)}, not on the paper's data, {papers}"

    def cells(self, scale: Scale, table: pd.DataFrame) -> Sequence[Cell]:
        """The experiment's cells for the profile of this data set.

        Raises:
            InputError: when the data set has fewer images than a batch.
        """
        cells = self.experiment.cells_of(self.profile(scale), table)
        for cell in cells:
            if cell.data and cell.images < (batch := getattr(cell.config, "batch", 1)):
                raise InputError(
                    f"{data.unpinned(self.data)} has {cell.images} training images, fewer than one batch of {batch} of "
                    f"{self.experiment.id}."
                )
        return cells

    def claims(self, table: pd.DataFrame) -> Sequence[Claim]:
        """The paper's claims, judged on the table."""
        return self.experiment.claims(table)

    def figure(self, table: pd.DataFrame) -> Figure:
        """The paper's figure, drawn from the table."""
        return self.experiment.figure(table)


def on(experiments: Iterable[Experiment], name: str | None, scale: Scale) -> list[Experiment]:
    """The experiments on a data set; an experiment stays the paper's where that is the scale's own, or it reads none.

    Args:
        experiments: experiments of papers.
        name: the data set; ``None`` leaves every experiment on its own.
        scale: the scale at which they will be run.

    Raises:
        UnknownNameError: for an unknown data set.
        InputError, DataError: when it cannot be loaded, or the papers' networks cannot classify it.
    """
    if name is None:
        return list(experiments)
    pinned = data.pinned(name)
    refuse_unfit(facts_of(pinned))
    return [_moved(experiment, pinned, scale) for experiment in experiments]


def base_of(id: str) -> str:
    """The name of the paper's experiment, of its own name or of one on other data."""
    return id.partition(SEPARATOR)[0]


def moved(experiment: Experiment, name: str) -> OnOtherData:
    """An experiment on another data set, of which only the name is read.

    Raises:
        InputError: when the experiment cannot be run on another data set.
    """
    if not isinstance(experiment, FixedExperiment) or not isinstance(
        experiment.profile(Scale.QUICK), Profile
    ):
        raise InputError(f"{experiment.id} runs on its own data only.")
    return OnOtherData(experiment, name)


def _moved(experiment: Experiment, name: str, scale: Scale) -> Experiment:
    other = moved(experiment, name)
    return experiment if other.experiment.profile(scale).data in ("", name) else other


def _label(name: str) -> str:
    """The part of an experiment's name that says on which data it is run: allowed in the name of a folder."""
    mine = own_name(name)
    if mine is None:
        return name
    last = re.split(r"[:/\\]", mine.source.partition("(")[0].rstrip("/"))[-1]
    word = re.sub(r"[^A-Za-z0-9_-]+", "-", last)[:_LONGEST_LABEL].strip("-") or mine.kind
    return f"{word}-{mine.pin[:_PIN_DIGITS]}"


def _literal(text: str) -> str:
    """A text for a profile's words, in which braces name fields."""
    return text.replace("{", "{{").replace("}", "}}")
