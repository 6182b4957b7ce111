"""A user's own sweep over networks × norms × places × learning rates × seeds, as an experiment.

:class:`Sweep` reads what the user asks for; :class:`SweepExperiment` makes its cells and its figure. Before any worker
starts, :mod:`normscope.sweep.checking` builds every network once and refuses what cannot run; it imports torch.
"""

from normscope.sweep.experiment import SweepExperiment
from normscope.sweep.settings import Sweep

__all__ = ["Sweep", "SweepExperiment"]
