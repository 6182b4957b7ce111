"""The Ray engine: cells are tasks of a Ray cluster, started here or joined."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from normscope import devices
from normscope.errors import InputError
from normscope.protocol import Cell
from normscope.protocol.cells import torch_minor_version
from normscope.runner.cluster.address import check_cluster, check_form
from normscope.runner.cluster.interrupts import signals_held
from normscope.runner.cluster.node import Job, run_cell
from normscope.runner.cluster.session import Environment, Session, import_ray
from normscope.runner.cluster.transfer import DataFiles, Uploaded, own_modules, upload
from normscope.runner.local import shared_by, workers_here
from normscope.runner.tasks import Task, TaskQueue
from normscope.runner.worker_process import import_path
from normscope.store import Store

_POLL_SECONDS, _LOCKED_SECONDS = 1.0, 0.1
_OBJECT_STORE = 100_000_000  # bytes; no files travel through it when Ray is started here.


class RayEngine:
    """Runs cells as Ray tasks.

    Args:
        address: a cluster that this machine belongs to, ``"host:port"`` or ``"auto"``; ``None`` to start Ray here. A
            Ray that the program has already started or joined is used and left as it is.
        data_files: the files of the data sets, for the nodes of a cluster that is joined.

    Raises:
        InputError: Ray is not installed or too old, or the address has a wrong form.
    """

    def __init__(self, address: str | None = None, data_files: DataFiles | None = None) -> None:
        if address is not None:
            check_form(address)
        self._ray = import_ray()
        self._address, self._data_files = address, data_files
        self._session: Session | None = None
        self._environment: Environment | None = None
        self._connected = False
        self._on_termination: Any = None
        self._uploaded: dict[str, Uploaded] = {}

    def kind_of(self, device: str) -> str:
        """The kind of device that a name stands for in the cluster; on this machine when Ray is to be started here.

        Raises:
            InputError: there is no such device, or no cluster can be reached at the address.
        """
        if device == "cpu" or self._is_here():
            return devices.kind_of(device)
        is_found = self._resource("GPU") > 0
        if device == devices.AUTO:
            return "cuda" if is_found else "cpu"
        if device != "cuda" or not is_found:
            raise InputError(
                f"the Ray cluster offers no {device} device: it has cpu{' and cuda' * is_found}."
            )
        return device

    def workers(self, kind: str) -> int:
        """One for each of the cluster's cores, or four for each GPU; of this machine's when Ray is to be started here.

        Raises:
            InputError: no cluster can be reached at the address.
        """
        if self._is_here():
            return workers_here(kind)
        cores = max(1, int(self._resource("CPU")))
        return cores if kind == "cpu" else shared_by(int(self._resource("GPU")), cores)

    def _is_here(self) -> bool:
        """Whether Ray is to be started on this machine."""
        return self._address is None and not self._ray.is_initialized()

    def _resource(self, name: str) -> float:
        """How much the cluster has of a resource."""
        self._connect(0)
        return float(self._ray.cluster_resources().get(name, 0))

    def run(self, queue: TaskQueue, timeout: float | None) -> None:
        """Run the queue's tasks; the number of Ray tasks submitted at any time is bounded."""
        self._connect(queue.plan.workers)
        job = self._job(queue.plan.new.values(), timeout)
        kinds = {cell.device for cell in queue.plan.new.values()}
        busiest = max(kinds, key=lambda kind: kind != "cpu")
        limit = _TaskLimit(lambda: self.workers(busiest), queue.plan.workers)
        remotes = {kind: self._remote(kind, queue.plan.workers) for kind in kinds}
        running: dict[Any, Task] = {}
        with signals_held() as signals:
            try:
                while True:
                    signals.deliver()
                    while len(running) < limit.current() and (task := queue.take()) is not None:
                        running[remotes[task.cell.device].remote(queue.request(task), job)] = task
                    if not running:
                        if not queue.waiting:
                            return
                        time.sleep(_LOCKED_SECONDS)
                    for reference in self._finished(running):
                        task = running.pop(reference)
                        queue.settle(task, self._answer(reference, task, queue.store))
                    queue.check()
            except BaseException:
                queue.close()
                self._cancel(running)
                raise

    def close(self) -> None:
        """End Ray if this engine has started it, else leave the cluster."""
        try:
            if self._connected:
                self._ray.shutdown()
                self._restore_handler()
        finally:
            if self._session is not None:
                self._session.close()
            if self._environment is not None:
                self._environment.restore()
            self._connected, self._session, self._environment = False, None, None
            self._uploaded.clear()

    def _remote(self, kind: str, workers: int) -> Any:
        """The Ray task for cells on a kind of device: one core, and the share of a GPU that each worker has.

        Raises:
            InputError: Ray finds no GPU, so that the task would wait for ever.
        """
        share = 0.0
        if kind == "cuda":
            self.kind_of(kind)
            share = 1 / math.ceil(workers / self._resource("GPU"))
        return self._ray.remote(num_cpus=1, num_gpus=share, max_retries=0)(run_cell)

    def _cancel(self, running: Iterable[Any]) -> None:
        """Stop the tasks under way. Ray does so itself when this process leaves the cluster.

        Tasks are cancelled one by one only in a Ray that the program itself has started: if one ends at that moment,
        Ray may take this for an impossible state and end the process. Ray's errors are ignored, since the error that
        ends the run is already being raised.
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
            with Environment({}):
                check_cluster(self._address)
        # Twice, since on a busy machine Ray may not start within its own limit of 30 s.
        for last in (False, True):
            try:
                self._start(cores)
                return
            except InputError:
                self.close()
                raise
            except Exception as error:
                self.close()
                reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
                if last:
                    raise InputError(f"Ray did not start: {reason}") from error
            except SystemExit:
                # Ray has put its own handler, which exits, in the place of the program's.
                self.close()
                signal.raise_signal(signal.SIGTERM)
                raise
            except BaseException:
                self.close()
                raise

    def _start(self, cores: int) -> None:
        """Start Ray here, or join the cluster."""
        self._on_termination = signal.getsignal(signal.SIGTERM)
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        if self._address is not None:
            self._environment = Environment({})
            self._connected = True
            self._ray.init(address=self._address, **quiet)
        else:
            self._session = Session(self._ray)
            self._connected = True
            self._ray.init(
                address="local",
                num_cpus=cores,
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE,
                _temp_dir=self._session.temporary,
                **quiet,
            )
            self._session.check()
        if self._on_termination is not signal.SIG_DFL:
            self._restore_handler()

    def _restore_handler(self) -> None:
        """Give SIGTERM the program's handler again, since Ray leaves its own installed."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_termination)

    def _job(self, cells: Iterable[Cell], timeout: float | None) -> Any:
        """What all tasks of a plan share, put where every node fetches it once."""
        path, torch = import_path(), torch_minor_version()
        if self._session is not None:
            return self._ray.put(Job(path, timeout, torch, directory=os.getcwd()))
        cells = list(cells)
        variable = self._data_files.variable if self._data_files is not None else ""
        if self._data_files is not None:
            for name in {name for cell in cells for name in cell.data} - self._uploaded.keys():
                self._uploaded[name] = upload(self._data_files.files(name))
        modules = None
        if any(cell.files or not cell.module.startswith("normscope.") for cell in cells):
            modules = upload(own_modules(Path.cwd()))
        data = tuple(self._uploaded.values())
        return self._ray.put(Job(path, timeout, torch, None, modules, data, variable))

    def _finished(self, running: Mapping[Any, Task]) -> list[Any]:
        """The tasks that have ended, after a wait for the first one."""
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
            reason = str(error).strip().splitlines()[0]
            return {"died": f"its node or worker was lost: {reason}", "again": True}
        if content is not None:
            store.write_file(task.key, content)
        reply: Mapping[str, Any] = answer
        return reply


class _TaskLimit:
    """How many tasks may be submitted at a time.

    That is the number of workers the user asked for if it is below the cluster's own. Otherwise it is twice that,
    however the cluster grows or shrinks: the second task waits in Ray's queue, so that no worker waits for the driver.
    """

    def __init__(self, most: Callable[[], int], workers: int) -> None:
        self._most = most
        self._follows_cluster = workers >= most()
        self._read_at = -math.inf
        self._current = workers

    def current(self) -> int:
        if self._follows_cluster and time.monotonic() - self._read_at > _POLL_SECONDS:
            self._current, self._read_at = 2 * self._most(), time.monotonic()
        return self._current
