"""A user's own sweep: networks × norms × places × learning rates × seeds, as an experiment like the papers'.

:class:`Sweep` reads the user's words, :class:`SweepExperiment` makes cells and a figure of it. Before any worker
starts, :mod:`normscope.sweep.checking`, which imports torch, builds each of its networks and refuses what cannot run.
"""

from normscope.sweep.experiment import SweepExperiment
from normscope.sweep.settings import Sweep

__all__ = ["Sweep", "SweepExperiment"]
