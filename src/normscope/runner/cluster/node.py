"""Runs a task on a node of a Ray cluster."""

from __future__ import annotations

import dataclasses
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

from normscope.protocol.cells import torch_minor_version
from normscope.runner.cluster.transfer import Uploaded, download
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

    def worker_settings(self) -> WorkerSettings:
        """How the worker process is started on this node, once the files it needs are here."""
        directory, path = self.directory, self.path
        if self.modules is not None:
            directory = str(download(self.modules))
            path = (directory, *path)
        folders = [str(download(dataset)) for dataset in self.data]
        return WorkerSettings(path, {self.variable: os.pathsep.join(folders)} if folders else {}, directory)


_worker: WorkerProcess | None = None
"""The worker process of this Ray worker, kept between its tasks; it ends with the Ray worker at the latest."""


def _worker_for(job: Job) -> WorkerProcess:
    global _worker
    settings = job.worker_settings()
    if _worker is not None and _worker.alive and _worker.settings == settings:
        return _worker
    if _worker is not None:
        _worker.stop()
    _worker = WorkerProcess(settings)
    return _worker


def run_cell(request: dict[str, Any], job: Job) -> tuple[dict[str, Any], bytes | None]:
    """The Ray task: the worker's answer, and the cell's file unless the worker has written it to the store."""
    if (here := torch_minor_version()) != job.torch:
        return {"error": f"{socket.gethostname()} has torch {here}, the cells are for {job.torch}."}, None
    if job.directory is not None:
        return _worker_for(job).run(request, job.timeout), None
    try:
        with tempfile.TemporaryDirectory(prefix="normscope-cell-") as folder:
            answer = _worker_for(job).run({**request, "store": folder}, job.timeout)
            if "fatal" in answer:
                return _node_error(answer["fatal"]), None
            written = Store(Path(folder)).path(request["key"])
            return answer, written.read_bytes() if "seconds" in answer else None
    except OSError as error:
        return _node_error(str(error)), None


def _node_error(error: str) -> dict[str, Any]:
    """The answer when this node's disk fails: the cell may be tried again on another node."""
    return {"died": f"on {socket.gethostname()}: {error}", "again": True}
