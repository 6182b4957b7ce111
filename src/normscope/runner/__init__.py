"""Runs cells: every core is busy, every finished cell is kept, and a cell that fails does not stop the others.

:func:`plan` finds which of the wanted cells a :class:`~normscope.store.Store` lacks. :func:`run` has an
:class:`Engine` run these in worker processes of this machine or on a Ray cluster (:mod:`normscope.runner.cluster`), and
reports to an :class:`Observer`.
"""

from normscope.runner.cluster.transfer import DataFiles
from normscope.runner.engine import ENGINES, Engine, make_engine, run
from normscope.runner.local import available_cores
from normscope.runner.observer import Observer
from normscope.runner.planning import Estimate, Plan, plan

__all__ = [
    "ENGINES",
    "DataFiles",
    "Engine",
    "Estimate",
    "Observer",
    "Plan",
    "available_cores",
    "make_engine",
    "plan",
    "run",
]
