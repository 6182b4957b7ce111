"""A sweep as an experiment: planned, run and drawn like a paper's, but without claims."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from normscope.data import unpinned
from normscope.errors import InputError
from normscope.protocol import Cell, Claim, Scale
from normscope.report.captions import MARKED_EDGES, MEDIAN_BAND, by_depth
from normscope.sweep.settings import Sweep

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")  # a folder: eCryptfs, the strictest file system, allows 143 bytes
_TAKEN = ("cells",)


@dataclasses.dataclass(frozen=True)
class SweepExperiment:
    """The experiment that runs a sweep; it is the same at every scale.

    Attributes:
        id: name of the sweep and of its folder: up to 128 letters, digits, ``-`` and ``_``.
        sweep: its settings, which are also its profile.
    """

    id: str
    sweep: Sweep

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.id) or self.id in _TAKEN:
            raise InputError(
                f"{self.id!r} cannot be a sweep's name: up to 128 letters, digits, - and _ are allowed."
            )

    @property
    def title(self) -> str:
        """What the sweep measures, in a line."""
        networks, data = ", ".join(self.sweep.networks), unpinned(self.sweep.data)
        return f"{networks} on {data}: validation {self._measure} by learning rate"

    @property
    def question(self) -> str:
        """The question that the sweep asks, for the report."""
        networks, norms = ", ".join(self.sweep.networks), ", ".join(self.sweep.norms)
        with_norms = f", with norm {norms}" if norms else ""
        return f"How do {self._measure} and stability of {networks} depend on the learning rate{with_norms}?"

    @property
    def method(self) -> str:
        """How the sweep answers its question, for the report."""
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
        """The caption of the figure."""
        spectra = (
            " Two more panels show the largest and the smallest eigenvalue of the autocorrelation R of "
            f"{self._layer}'s input early in the run, for one batch in training mode. There, a run that had already "
            "diverged counts as infinite, and an eigenvalue below rounding as 0."
            if "spectrum" in self.sweep.probes
            else ""
        )
        counts = "as chance error" if self.sweep.classifies else "as infinite"
        level = (
            "" if self.sweep.chance is None else " The grey line is the loss of predicting the mean target."
        )
        return (
            f"Validation {self._measure} after the last epoch against the learning rate: {MEDIAN_BAND}. A diverged run "
            f"counts {counts}; a cross above the panel, in the colour of the line, marks a rate at which a run "
            f"diverged. {MARKED_EDGES}{level}{spectra} {by_depth(self.sweep.probes)}"
        ).rstrip()

    def profile(self, scale: Scale) -> Sweep:
        """The sweep's settings."""
        return self.sweep

    def cells(self, scale: Scale, table: pd.DataFrame) -> Sequence[Cell]:
        """One cell per training run."""
        return self._cells

    def claims(self, table: pd.DataFrame) -> Sequence[Claim]:
        """Empty: a user's sweep has no published claims."""
        return []

    def figure(self, table: pd.DataFrame) -> Figure:
        """The error, and the extreme eigenvalues where they were read, against the learning rate."""
        from normscope.sweep.drawing import draw

        return draw(table, self.sweep)

    @functools.cached_property
    def _cells(self) -> list[Cell]:
        from normscope.sweep.training_cell import train_network

        models: dict[tuple[str, str], Cell] = {}  # finding a user's files takes a millisecond: once per model
        cells = []
        for run in self.sweep.runs():
            model = (run.network, run.norm)
            models[model] = models.get(model) or train_network.cell(run)
            cells.append(dataclasses.replace(models[model], config=run))
        return cells

    @property
    def _measure(self) -> str:
        return "error" if self.sweep.classifies else "loss"

    @property
    def _layer(self) -> str:
        return f"layer {self.sweep.layer}" if self.sweep.layer else "the network's second layer"
