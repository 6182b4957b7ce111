"""Runs a plan's new cells on an engine: worker processes of this machine, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Set
from typing import Protocol

from normscope.errors import InputError, UnknownNameError
from normscope.runner.cluster.ray import RayEngine
from normscope.runner.cluster.transfer import DataFiles
from normscope.runner.compaction import background_compaction
from normscope.runner.local import LocalEngine
from normscope.runner.observer import Observer
from normscope.runner.planning import Plan
from normscope.runner.tasks import TaskQueue
from normscope.store import Store, StoreError
from normscope.store.locks import CellLocks, shared_use

ENGINES = ("local", "ray")


class Engine(Protocol):
    """Runs cells side by side. It may keep processes between two plans; :meth:`close` ends them."""

    def kind_of(self, device: str) -> str:
        """The kind of device that a name stands for where it runs cells, as :func:`normscope.devices.kind_of`.

        Raises:
            InputError: there is no such device.
        """

    def workers(self, kind: str) -> int:
        """Number of cells that it runs side by side on a kind of device unless the user wants another."""

    def run(self, queue: TaskQueue, timeout: float | None) -> None:
        """Run the queue's tasks, as many side by side as its plan says, and settle each in the queue."""

    def close(self) -> None:
        """End what the engine has started. The engine may be used again."""


def make_engine(
    name: str = "local", ray_address: str | None = None, data_files: DataFiles | None = None
) -> Engine:
    """The engine of that name.

    Args:
        name: ``"local"``, worker processes of this machine, or ``"ray"``, Ray's tasks.
        ray_address: a Ray cluster to join, ``"host:port"`` or ``"auto"``; by default Ray is started here.
        data_files: the files of the data sets, for the nodes of a cluster that is joined.

    Raises:
        UnknownNameError: there is no such engine.
        InputError: an address is given for another engine than Ray, or Ray is not installed.
    """
    if name not in ENGINES:
        raise UnknownNameError("engine", name, ENGINES)
    if name == "ray":
        return RayEngine(ray_address, data_files)
    if ray_address is not None:
        raise InputError("--ray-address names a Ray cluster: it needs --engine ray.")
    return LocalEngine()


def run(
    plan: Plan, store: Store, observer: Observer, timeout: float | None = None, engine: Engine | None = None
) -> dict[str, str]:
    """Run a plan's new cells. Each is in the store as soon as it ends.

    Args:
        plan: what to run, and how many cells side by side.
        store: where the rows go.
        observer: notified of every cell.
        timeout: seconds after which a cell is stopped and counts as failed; ``None`` for no limit.
        engine: what runs them, left open for the next plan; by default a local engine that ends with this call.

    Returns:
        The error of every failed cell, by key.

    Raises:
        StoreError: results can no longer be written, or finished cells have been damaged since; the others stay.
        InputError: a cluster cannot be reached.
        KeyboardInterrupt: raised again once the workers are stopped.
    """
    if not plan.new:
        return {}
    store.check_writable()
    store.remove_leftovers()
    chosen = engine or LocalEngine()
    with shared_use(store.folder):
        with background_compaction(store) as count_finished, CellLocks(store.folder) as locks:
            queue = TaskQueue(plan, store, observer, locks, count_finished)
            try:
                chosen.run(queue, timeout)
            finally:
                if engine is None:
                    chosen.close()
        queue.check()
        store.compact()
        _check_kept(store, (plan.reused.keys() | plan.new.keys()) - queue.failures.keys())
    return queue.failures


def _check_kept(store: Store, keys: Set[str]) -> None:
    """Refuse to go on when a cell that was found or finished has been set aside as damaged since."""
    if lost := keys - store.keys():
        raise StoreError(
            f"finished cells in {store.folder} have been damaged or removed during the run ({len(lost):,} of them): "
            "run the same command again, which runs them again."
        )
