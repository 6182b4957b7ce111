"""A user's own grid: networks × norms × places × learning rates × seeds, as an experiment like the papers'.

:class:`Grid` reads the user's words, :class:`GridExperiment` makes cells and a figure of it. Before any worker
starts, :mod:`normscope.sweep.checking`, which imports torch, builds each of its networks and refuses what cannot run.
"""

from normscope.sweep.experiment import GridExperiment
from normscope.sweep.runs import Grid

__all__ = ["Grid", "GridExperiment"]
