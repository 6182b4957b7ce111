"""Runs cells: every core busy, every finished cell kept, a bad one never in the way of the others.

:class:`Store` keeps each finished cell's rows in a folder; :func:`plan` says which of the wanted cells it lacks;
:func:`run` has an :class:`Engine` run those, worker processes of this machine or a Ray cluster, and reports to an
:class:`Observer`.
"""

from normscope.sweep.engine import ENGINES, Engine, make_engine, run
from normscope.sweep.local import available_cores
from normscope.sweep.observer import Observer, SilentObserver
from normscope.sweep.planning import Estimate, Plan, plan
from normscope.sweep.provenance import mixture
from normscope.sweep.shipping import Freight
from normscope.sweep.store import Store, StoreError

__all__ = [
    "ENGINES",
    "Engine",
    "Estimate",
    "Freight",
    "Observer",
    "Plan",
    "SilentObserver",
    "Store",
    "StoreError",
    "available_cores",
    "make_engine",
    "mixture",
    "plan",
    "run",
]
