"""A line of the catalogue. Importing this file imports nothing heavy."""

from __future__ import annotations

import dataclasses
import importlib

from normscope.papers.sources import Paper
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
        aliases: other figures and tables of the source that this experiment's figure shows, by names that find it.
    """

    id: str
    title: str
    paper: Paper
    place: str
    module: str = ""
    aliases: tuple[str, ...] = ()

    def load(self) -> Experiment:
        """Import the module and return its experiment."""
        module = importlib.import_module(self.module or f"normscope.papers.{self.id}")
        experiment: Experiment = module.EXPERIMENT
        return experiment
