"""Runs a task on a node of a Ray cluster."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import signal
import socket
import sys
from typing import Any

from normscope.protocol.cells import torch_minor_version
from normscope.runner.cluster.folders import LockedFolder
from normscope.runner.cluster.transfer import CELL_PREFIX, Uploaded, download, node_folder, tidy_node_folder
from normscope.runner.worker_process import WorkerProcess, WorkerSettings
from normscope.store import Store


@dataclasses.dataclass(frozen=True)
class Job:
    """What a node needs to run a plan's cells.

    Attributes:
        path: the driver's import path.
        timeout: seconds after which a cell is stopped.
        torch: the driver's minor version of torch, on which the cells' keys depend.
        directory: the driver's working directory when the nodes are on its machine; ``None`` for other machines.
        modules: the user's own modules; their folder is then the cells' working directory.
        data: the data sets.
        variable: the environment variable that names the data sets' folders to a cell's process.
    """

    path: tuple[str, ...]
    timeout: float | None
    torch: str
    directory: str | None
    modules: Uploaded | None = None
    data: tuple[Uploaded, ...] = ()
    variable: str = ""

    @property
    def process(self) -> tuple[object, ...]:
        """What a worker process depends on: one that was started for a job can run the cells of an equal one."""
        modules = self.modules.digest if self.modules is not None else None
        return self.path, self.directory, modules, [dataset.digest for dataset in self.data], self.variable

    def worker_settings(self) -> WorkerSettings:
        """How the worker process is started on this node, once the files it needs are here and verified."""
        environment = {}
        if self.data:
            environment[self.variable] = os.pathsep.join(str(download(dataset)) for dataset in self.data)
        if self.modules is None:
            return WorkerSettings(self.path, environment, self.directory)
        directory = str(download(self.modules))
        # Compiled modules could not be verified the next time.
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        return WorkerSettings((directory, *self.path), environment, directory)


_GPUS = "CUDA_VISIBLE_DEVICES"
"""The variable by which Ray says which GPUs a task may use; a worker process has them for its life."""

_worker: tuple[WorkerProcess, tuple[object, ...]] | None = None
"""The worker process of this Ray worker, kept between its tasks, and what it depends on. The process ends with the Ray
worker at the latest."""


_PARENT_DEATH_SIGNAL = 1


def _end_with_node() -> None:
    """Have Linux kill this Ray worker, and with it its worker process, when its node ends. Ray takes two seconds."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _worker_for(job: Job) -> WorkerProcess:
    global _worker
    needed = (os.environ.get(_GPUS), *job.process)
    if _worker is not None:
        process, depends_on = _worker
        if process.alive and depends_on == needed:
            return process
        process.stop()
        _worker = None
    _end_with_node()
    if job.directory is None:
        tidy_node_folder()
    process = WorkerProcess(job.worker_settings())
    _worker = process, needed
    return process


def run_cell(request: dict[str, Any], job: Job) -> tuple[dict[str, Any], bytes | None]:
    """The Ray task: the worker's answer, and the cell's file unless the worker has written it to the store."""
    if (here := torch_minor_version()) != job.torch:
        return {"error": f"{socket.gethostname()} has torch {here}, the cells are for {job.torch}."}, None
    if job.directory is not None:
        return _worker_for(job).run(request, job.timeout), None
    try:
        with LockedFolder(node_folder(), CELL_PREFIX) as folder:
            answer = _worker_for(job).run({**request, "store": str(folder.path)}, job.timeout)
            if "fatal" in answer:
                return _node_error(answer["fatal"]), None
            written = Store(folder.path).path(request["key"])
            return answer, written.read_bytes() if "seconds" in answer else None
    except OSError as error:
        return _node_error(str(error)), None


def _node_error(error: str) -> dict[str, Any]:
    """The answer when this node's disk fails: the cell may be tried again on another node."""
    return {"died": f"on {socket.gethostname()}: {error}", "again": True}
