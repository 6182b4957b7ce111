"""An experiment: the cells it needs, the claims it judges, the figure it draws; and the result of running one."""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from normscope.errors import UnknownNameError
from normscope.protocol.cells import Cell
from normscope.protocol.claims import Claim, ClaimRule, Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Scale(enum.StrEnum):
    """How large a run is: a first look, results worth reading, or the source's own settings."""

    QUICK = "quick"
    LAPTOP = "laptop"
    PAPER = "paper"

    @classmethod
    def parse(cls, name: str) -> Scale:
        """The scale of that name; an unknown one raises :class:`~normscope.errors.UnknownNameError`."""
        try:
            return cls(name)
        except ValueError:
            raise UnknownNameError("scale", str(name), [scale.value for scale in cls]) from None


class Profile(Protocol):
    """The settings of a paper's experiments at one scale: a frozen dataclass, printed in every report."""

    def describe(self) -> Mapping[str, str]:
        """The settings in words, by name."""
        ...


class Experiment(Protocol):
    """One figure or table of a source.

    :meth:`cells` is called with the rows measured so far, again and again until it asks for nothing new, so that a
    bisection or "the best rate" is an ordinary experiment. Then :meth:`claims` and :meth:`figure` read the table.
    """

    @property
    def id(self) -> str:
        """Its name, ``paper.figure``."""
        ...

    @property
    def question(self) -> str:
        """Its question, in one sentence."""
        ...

    @property
    def method(self) -> str:
        """How it answers the question, in about two sentences."""
        ...

    @property
    def caption(self) -> str:
        """What its figure shows, in one or two sentences."""
        ...

    def profile(self, scale: Scale) -> Profile:
        """The settings at a scale."""
        ...

    def cells(self, scale: Scale, table: pd.DataFrame) -> Sequence[Cell]:
        """The cells that it needs, given the rows measured so far."""
        ...

    def claims(self, table: pd.DataFrame) -> Sequence[Claim]:
        """Every claim of the source, judged on the table."""
        ...

    def figure(self, table: pd.DataFrame) -> Figure:
        """The source's figure redrawn from the table."""
        ...


SomeProfile = TypeVar("SomeProfile", bound=Profile)


@dataclasses.dataclass(frozen=True)
class FixedExperiment(Generic[SomeProfile]):
    """An :class:`Experiment` whose cells are known before any has run.

    Attributes:
        id: its name, ``paper.figure``.
        question: its question, in one sentence.
        method: how it answers the question, in about two sentences.
        caption: what its figure shows.
        profiles: the settings of each scale.
        list_cells: the cells of a profile.
        rules: the source's claims.
        draw: the figure from the table.
    """

    id: str
    question: str
    method: str
    caption: str
    profiles: Mapping[Scale, SomeProfile]
    list_cells: Callable[[SomeProfile], Sequence[Cell]]
    rules: Sequence[ClaimRule]
    draw: Callable[[pd.DataFrame], Figure]

    def profile(self, scale: Scale) -> SomeProfile:
        """The settings at a scale."""
        return self.profiles[scale]

    def cells(self, scale: Scale, table: pd.DataFrame) -> Sequence[Cell]:
        """The cells of the scale's profile."""
        return self.cells_of(self.profiles[scale], table)

    def cells_of(self, profile: SomeProfile, table: pd.DataFrame) -> Sequence[Cell]:
        """The cells of a profile; they do not depend on the table."""
        return self.list_cells(profile)

    def claims(self, table: pd.DataFrame) -> Sequence[Claim]:
        """Every rule's verdict on the table."""
        return [rule(table) for rule in self.rules]

    def figure(self, table: pd.DataFrame) -> Figure:
        """The figure drawn from the table."""
        return self.draw(table)


@dataclasses.dataclass(frozen=True)
class GrowingExperiment(FixedExperiment[SomeProfile]):
    """A :class:`FixedExperiment` that asks for more cells once it has seen the rows of the first, such as a search.

    Attributes:
        more_cells: the cells to add, given the rows measured so far; it is asked until it adds nothing new.
    """

    more_cells: Callable[[SomeProfile, pd.DataFrame], Sequence[Cell]]

    def cells_of(self, profile: SomeProfile, table: pd.DataFrame) -> Sequence[Cell]:
        """The cells of a profile, and those that follow from the table."""
        return [*self.list_cells(profile), *self.more_cells(profile, table)]


@dataclasses.dataclass(frozen=True)
class Result:
    """The outcome of an experiment.

    Attributes:
        id: the experiment's name.
        scale: the scale it was run at.
        table: every row of its cells, the configuration joined.
        claims: the judged claims.
        failures: the errors of the cells that failed, by cell; empty when none did.
        settings: the profile in words.
        notes: remarks on the rows for a reader, one sentence each.
        data: the data sets that the cells read, with commas between; empty when they read none.
        data_note: what a reader of a verdict must know of the data, such as that they are not the paper's; empty when
            they are the ones that the scale has, as published.
    """

    id: str
    scale: Scale
    table: pd.DataFrame
    claims: tuple[Claim, ...]
    failures: Mapping[str, str]
    settings: Mapping[str, str]
    experiment: Experiment = dataclasses.field(repr=False)
    notes: tuple[str, ...] = ()
    data: str = ""
    data_note: str = ""

    def __repr__(self) -> str:
        words = [f"{len(self.table):,} rows"]
        verdicts = Counter(claim.verdict for claim in self.claims)
        words += [f"{verdicts[verdict]} {verdict}" for verdict in Verdict if verdicts[verdict]]
        if self.failures:
            words.append(f"{len(self.failures)} cells failed")
        return f"<{self.id}: {', '.join(words)}>"

    def figure(self) -> Figure:
        """The figure, drawn from the table."""
        return self.experiment.figure(self.table)

    def scorecard(self) -> list[dict[str, Any]]:
        """The claims as the rows of ``scorecard.json``."""
        about = {"scale": str(self.scale), "data": self.data, "data_note": self.data_note}
        return [{"experiment": self.id, **claim.to_json(), **about} for claim in self.claims]
