"""The Ray engine: cells are tasks of a Ray cluster, started here or joined.

Each task hands its cell to a worker process like the local engine's, kept for the next task of the same Ray worker; so
rows are the same bits, a cell that dies leaves its last words, and a time-out runs from the cell's own start. With Ray
started here the workers write to the store. Nodes of a cluster that was joined send each finished cell's file back, and
get the data sets and the user's own modules through Ray's object store, once each.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from normscope.atomic import atomic_write
from normscope.errors import InputError
from normscope.protocol import Cell
from normscope.protocol.cells import torch_minor_version
from normscope.runner.cluster.interrupts import interrupts_held
from normscope.runner.cluster.node import Job, run_cell
from normscope.runner.cluster.shipping import Consignment, Freight, consign, own_modules
from normscope.runner.ledger import Ledger, Task
from normscope.runner.local import available_cores
from normscope.store.store import Store, StoreError

# Ray reads these when it is imported or started: no usage reports, no warning about accelerators it was not
# asked for.
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_LISTENING_SECONDS, _JOINING_SECONDS = 5.0, 30.0
_POLL_SECONDS = 1.0
_OBJECT_STORE = 100_000_000  # Nothing travels through it when Ray is started here.
_LONGEST_SOCKET_FOLDER = 40
_ADVICE = "give host:port of a Ray cluster that this machine belongs to, or 'auto'"


class RayEngine:
    """Runs cells as Ray tasks.

    Args:
        address: of a cluster this machine belongs to, ``"host:port"`` or ``"auto"``; ``None``: Ray is started here.
            Where the program has started or joined Ray already, that is used and left as it is.
        freight: how the nodes of a cluster that is joined get the data sets that cells read.

    Raises:
        InputError: Ray is not installed, or the address is none.
    """

    def __init__(self, address: str | None = None, freight: Freight | None = None) -> None:
        if address is not None:
            _check_form(address)
        os.environ.update(_SETTINGS)
        self._ray = _import_ray()
        self._address, self._freight = address, freight
        self._folder: str | None = None
        self._connected = False
        self._on_termination: Any = None
        self._consignments: dict[str, Consignment] = {}

    def cores(self) -> int:
        """The cluster's processor cores; this machine's when Ray is to be started here.

        Raises:
            InputError: no cluster can be reached at the address.
        """
        if self._address is None and not self._ray.is_initialized():
            return available_cores()
        self._connect(0)
        return max(1, int(self._ray.cluster_resources().get("CPU", 0)))

    def run(self, ledger: Ledger, store: Store, timeout: float | None) -> None:
        """Run the cells that the ledger hands out; a bounded number of them is under way at any time."""
        plan = ledger.plan
        self._connect(plan.workers)
        job = self._job(plan.new.values(), timeout)
        size = _ClusterSize(self.cores, plan.workers)
        task = self._ray.remote(num_cpus=1, max_retries=0)(run_cell)
        running: dict[Any, Task] = {}
        with interrupts_held() as interrupted:
            try:
                while not interrupted.is_set():
                    while len(running) < size.at_most() and (cell := ledger.take()) is not None:
                        running[task.remote(cell.request(store.folder), job)] = cell
                    if not running:
                        if not ledger.waiting:
                            return
                        time.sleep(_POLL_SECONDS)
                    for reference in self._finished(running):
                        cell = running.pop(reference)
                        ledger.settle(cell, self._answer(reference, cell, store))
                    ledger.check()
                raise KeyboardInterrupt
            except BaseException:
                ledger.close()
                self._abandon(running)
                raise

    def close(self) -> None:
        """End Ray where it was started here, else leave the cluster."""
        try:
            if self._connected:
                self._ray.shutdown()
                if threading.current_thread() is threading.main_thread():
                    signal.signal(signal.SIGTERM, self._on_termination)  # Ray leaves its own handler behind.
        finally:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
            self._connected, self._folder = False, None
            self._consignments.clear()

    def _abandon(self, running: Iterable[Any]) -> None:
        """Stop the tasks under way; Ray does so itself when its driver leaves.

        Tasks are cancelled one by one only where the program's own Ray goes on: if one ends at that moment, Ray may
        take it for an impossible state and end the process. The run ends for another reason, told already, so Ray's
        own errors are none now.
        """
        with contextlib.suppress(Exception):
            if self._connected:
                self.close()
            else:
                for reference in running:
                    self._ray.cancel(reference, force=True)

    def _connect(self, cores: int) -> None:
        if self._ray.is_initialized():
            return
        if self._address is not None:
            _check_cluster(self._address)
        # Twice: on a busy machine Ray's own patience of 30 s may end before it has started.
        for last in (False, True):
            self._connected, self._on_termination = True, signal.getsignal(signal.SIGTERM)
            try:
                self._ray.init(**self._settings(cores), log_to_driver=False, logging_level="ERROR")
                return
            except Exception as error:
                self.close()
                reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
                if last:
                    raise InputError(f"Ray did not start: {reason}") from error

    def _settings(self, cores: int) -> dict[str, Any]:
        if self._address is not None:
            return {"address": self._address}
        self._folder = _short_folder()
        return {
            "address": "local",
            "num_cpus": cores,
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE,
            "_temp_dir": self._folder,
        }

    def _job(self, cells: Iterable[Cell], timeout: float | None) -> Any:
        """What all tasks of a plan share, put where every node fetches it once."""
        path = tuple(os.path.abspath(entry) for entry in sys.path)
        if self._folder is not None:
            return self._ray.put(Job(path, timeout, torch_minor_version(), directory=os.getcwd()))
        cells = list(cells)
        variable = self._freight.variable if self._freight is not None else ""
        if self._freight is not None:
            for name in {name for cell in cells for name in cell.data} - self._consignments.keys():
                self._consignments[name] = consign(self._freight.files(name))
        modules = None
        if any(cell.files or not cell.module.startswith("normscope.") for cell in cells):
            modules = consign(own_modules(Path.cwd()))
        data = tuple(self._consignments.values())
        return self._ray.put(Job(path, timeout, torch_minor_version(), None, modules, data, variable))

    def _finished(self, running: Mapping[Any, Task]) -> list[Any]:
        """The tasks that have ended, after a wait for the first."""
        if not (waiting := list(running)):
            return []
        self._ray.wait(waiting, num_returns=1, timeout=_POLL_SECONDS)
        ended: list[Any] = self._ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
        return ended

    def _answer(self, reference: Any, task: Task, store: Store) -> Mapping[str, Any]:
        errors = self._ray.exceptions
        try:
            answer, content = self._ray.get(reference)
        except errors.RayTaskError as error:
            return {"error": str(error).strip().splitlines()[-1]}
        except errors.RayError as error:
            return {
                "died": f"its node or worker was lost: {str(error).strip().splitlines()[0]}",
                "again": True,
            }
        if content is not None:
            _keep(store, task.key, content)
        reply: Mapping[str, Any] = answer
        return reply


class _ClusterSize:
    """How many tasks may be under way: as many as the user has asked for, where that is fewer than the cluster's cores.

    Otherwise two a core, whatever the cluster grows or shrinks to: the second waits in Ray's queue, so that no core
    waits for the driver.
    """

    def __init__(self, cores: Callable[[], int], workers: int) -> None:
        self._cores, self._workers = cores, workers
        self._follows = workers >= cores()
        self._read_at = -math.inf
        self._at_most = workers

    def at_most(self) -> int:
        if self._follows and time.monotonic() - self._read_at > _POLL_SECONDS:
            self._at_most, self._read_at = 2 * self._cores(), time.monotonic()
        return self._at_most


def _keep(store: Store, key: str, content: bytes) -> None:
    try:
        with atomic_write(store.path(key)) as file:
            file.write(content)
    except OSError as error:
        raise StoreError(f"cannot write to {store.folder}: {error.strerror or error}.") from error


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise InputError("Ray is not installed: pip install 'normscope[ray]'.") from error
    return ray


def _check_form(address: str) -> None:
    host, _, port = address.rpartition(":")
    if address != "auto" and not (host and "/" not in host and port.isdigit() and int(port) < 2**16):
        raise InputError(f"{address!r} is no address of a Ray cluster: {_ADVICE}.")


def _check_cluster(address: str) -> None:
    """Try a cluster out in a process of its own, since Ray itself would try again for minutes.

    Raises:
        InputError: nothing answers there, or what answers is no cluster that this machine can join.
    """
    script = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')"
    probe = [sys.executable, "-c", script, address]
    try:
        if address != "auto":
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), timeout=_LISTENING_SECONDS).close()
        subprocess.run(probe, check=True, capture_output=True, timeout=_JOINING_SECONDS)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
    except subprocess.TimeoutExpired:
        reason = f"no answer within {_JOINING_SECONDS:g} s"
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        return
    raise InputError(f"no Ray cluster to join at {address} ({reason}): {_ADVICE}.")


def _short_folder() -> str:
    """A new folder for Ray's own files; its name is short enough for the sockets that Ray makes there."""
    with contextlib.suppress(OSError):
        if len(tempfile.gettempdir()) <= _LONGEST_SOCKET_FOLDER:
            return tempfile.mkdtemp(prefix="ns-")
    return tempfile.mkdtemp(prefix="ns-", dir="/tmp")
