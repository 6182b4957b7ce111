"""A sweep as an experiment: what the papers' figures are, without claims."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from normscope.errors import InputError
from normscope.protocol import Cell, Claim, Scale
from normscope.sweep.settings import Sweep

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_TAKEN = ("cells",)


@dataclasses.dataclass(frozen=True)
class SweepExperiment:
    """The experiment of a sweep; it has one size, whatever the scale.

    Attributes:
        id: its name, and that of its folder: letters, digits, ``-`` and ``_``.
        sweep: the sweep, which is its profile too.
    """

    id: str
    sweep: Sweep

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.id) or self.id in _TAKEN:
            raise InputError(f"{self.id!r} cannot be a sweep's name: letters, digits, - and _ are allowed.")

    @property
    def title(self) -> str:
        """What it measures, in a line."""
        return f"{', '.join(self.sweep.networks)} on {self.sweep.data}: validation error by learning rate"

    @property
    def question(self) -> str:
        """What it asks."""
        networks, norms = ", ".join(self.sweep.networks), ", ".join(self.sweep.norms)
        return f"How do error and stability of {networks} depend on the learning rate, with norm {norms}?"

    @property
    def method(self) -> str:
        """How it finds out."""
        spectra = (
            f" The extreme eigenvalues of the autocorrelation R of {self._layer}'s input are read early in every run."
            if "spectrum" in self.sweep.probes
            else ""
        )
        return (
            "Each network is trained with each norm and place at each learning rate; for a seed, every run "
            f"sees the same batches.{spectra}"
        )

    @property
    def caption(self) -> str:
        """What its figure shows."""
        spectra = (
            f" Beside it the largest and the smallest eigenvalue of the autocorrelation R of {self._layer}'s input "
            "early in the run, of one batch in training mode; a run that diverged before counts as infinite. A "
            "median that is infinite, or 0 (below rounding), is a hollow marker at the edge, and the line stops."
            if "spectrum" in self.sweep.probes
            else ""
        )
        return (
            "Validation error after the last epoch against the learning rate: median over seeds, with the band from "
            "the first to the third quartile. A diverged run counts as chance error; a cross above the panel marks, in "
            f"its line's colour, a rate at which a run diverged.{spectra}"
        )

    def profile(self, scale: Scale) -> Sweep:
        """The sweep."""
        return self.sweep

    def cells(self, scale: Scale, table: pd.DataFrame) -> Sequence[Cell]:
        """A cell a training run."""
        return self._cells

    def claims(self, table: pd.DataFrame) -> Sequence[Claim]:
        """None: a sweep asks, and no source has answered."""
        return []

    def figure(self, table: pd.DataFrame) -> Figure:
        """Error, and the spectra's extremes when they were probed, against the learning rate."""
        from normscope.sweep.drawing import draw

        return draw(table, self.sweep)

    @functools.cached_property
    def _cells(self) -> list[Cell]:
        from normscope.sweep.training_cell import train_network

        models: dict[tuple[str, str], Cell] = {}  # finding a user's files takes a millisecond
        cells = []
        for run in self.sweep.runs():
            arrangement = (run.network, run.norm)
            models[arrangement] = models.get(arrangement) or train_network.cell(run)
            cells.append(dataclasses.replace(models[arrangement], config=run))
        return cells

    @property
    def _layer(self) -> str:
        return f"layer {self.sweep.layer}" if self.sweep.layer else "the network's second layer"
