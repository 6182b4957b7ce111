"""An experiment: the cells it needs, the claims it judges, the figure it draws; and the result of running one."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from normscope.errors import UnknownNameError
from normscope.protocol.cell import Cell
from normscope.protocol.claim import Claim

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

    The way through: :meth:`cells` is called with the rows there are, again and again until it asks for nothing
    new, so that a bisection or "the best rate" is an ordinary experiment; then :meth:`claims` and :meth:`figure`
    read the table.
    """

    @property
    def id(self) -> str:
        """Its name, ``paper.figure``."""
        ...

    @property
    def caption(self) -> str:
        """What its figure shows, in one or two sentences."""
        ...

    def profile(self, scale: Scale) -> Profile:
        """The settings at a scale."""
        ...

    def cells(self, scale: Scale, table: pd.DataFrame) -> Sequence[Cell]:
        """The cells it needs, given the rows there are."""
        ...

    def claims(self, table: pd.DataFrame) -> Sequence[Claim]:
        """Every claim of the source, judged on the table."""
        ...

    def figure(self, table: pd.DataFrame) -> Figure:
        """The source's figure redrawn from the table."""
        ...


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of an experiment.

    Attributes:
        id: the experiment's name.
        scale: the scale it was run at.
        table: every row of its cells, the configuration joined.
        claims: the judged claims.
        failures: the cells that failed, each with its error; empty when all went well.
        settings: the profile in words.
    """

    id: str
    scale: Scale
    table: pd.DataFrame
    claims: tuple[Claim, ...]
    failures: Mapping[str, str]
    settings: Mapping[str, str]
    experiment: Experiment = dataclasses.field(repr=False)

    def figure(self) -> Figure:
        """The figure, drawn afresh."""
        return self.experiment.figure(self.table)

    def scorecard(self) -> list[dict[str, Any]]:
        """The claims as the rows of ``scorecard.json``."""
        return [{"experiment": self.id, **claim.to_json(), "scale": str(self.scale)} for claim in self.claims]
