"""Runs cells: every core busy, every finished cell kept, a bad one never in the way of the others.

:func:`plan` says which of the wanted cells a :class:`~normscope.store.Store` lacks; :func:`run` has an :class:`Engine`
run those, worker processes of this machine or a Ray cluster (:mod:`normscope.runner.cluster`), and reports to an
:class:`Observer`.
"""

from normscope.runner.cluster.shipping import Freight
from normscope.runner.engine import ENGINES, Engine, make_engine, run
from normscope.runner.local import available_cores
from normscope.runner.observer import Observer, SilentObserver
from normscope.runner.planning import Estimate, Plan, plan

__all__ = [
    "ENGINES",
    "Engine",
    "Estimate",
    "Freight",
    "Observer",
    "Plan",
    "SilentObserver",
    "available_cores",
    "make_engine",
    "plan",
    "run",
]
