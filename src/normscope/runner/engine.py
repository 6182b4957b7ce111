"""Engines run a plan's new cells: worker processes of this machine, or a Ray cluster."""

from __future__ import annotations

import contextlib
from typing import Protocol

from normscope.errors import InputError, UnknownNameError
from normscope.runner.cluster.ray import RayEngine
from normscope.runner.cluster.shipping import Freight
from normscope.runner.housekeeping import housekeeping
from normscope.runner.ledger import Ledger
from normscope.runner.local import LocalEngine
from normscope.runner.observer import Observer
from normscope.runner.planning import Plan
from normscope.store.locks import Claims
from normscope.store.store import Store

ENGINES = ("local", "ray")


class Engine(Protocol):
    """Runs cells side by side. It may keep processes between two plans; :meth:`close` ends them."""

    def cores(self) -> int:
        """How many cells it can run side by side."""

    def run(self, ledger: Ledger, store: Store, timeout: float | None) -> None:
        """Run what the ledger hands out, as many cells side by side as its plan says, and settle each there."""

    def close(self) -> None:
        """End what it has started; it may be used again."""


def make_engine(
    name: str = "local", ray_address: str | None = None, freight: Freight | None = None
) -> Engine:
    """The engine that goes by a name.

    Args:
        name: ``"local"``, worker processes of this machine; ``"ray"``, Ray's tasks.
        ray_address: a Ray cluster to join, ``"host:port"`` or ``"auto"``; by default Ray is started here.
        freight: how a cluster's nodes get the data sets that cells read.

    Raises:
        UnknownNameError: no such engine.
        InputError: an address for another engine than Ray; Ray is not installed.
    """
    if name not in ENGINES:
        raise UnknownNameError("engine", name, ENGINES)
    if name == "ray":
        return RayEngine(ray_address, freight)
    if ray_address is not None:
        raise InputError("--ray-address names a Ray cluster: it needs --engine ray.")
    return LocalEngine()


def run(
    plan: Plan, store: Store, observer: Observer, timeout: float | None = None, engine: Engine | None = None
) -> dict[str, str]:
    """Run a plan's new cells; finished ones are in the store as soon as they end.

    Args:
        plan: what to run, and how many cells side by side.
        store: where the rows go.
        observer: hears of every cell.
        timeout: seconds after which a cell is stopped and counts as failed; ``None`` for no limit.
        engine: what runs them, left open for the next plan; by default this machine's worker processes, ended here.

    Returns:
        The error of every failed cell, by key.

    Raises:
        StoreError: when results can no longer be kept; what is finished stays.
        InputError: when a cluster cannot be reached.
        KeyboardInterrupt: handed on once the workers are stopped.
    """
    if not plan.new:
        return {}
    store.check_writable()
    store.remove_leftovers()
    chosen = engine or LocalEngine()
    with (
        contextlib.ExitStack() as ending,
        store.in_use(),
        housekeeping(store, observer) as watching,
        Claims(store, store.keys()) as claims,
    ):
        if engine is None:
            ending.callback(chosen.close)
        ledger = Ledger(plan, watching, claims)
        chosen.run(ledger, store, timeout)
    ledger.check()
    store.compact()
    return ledger.failures
