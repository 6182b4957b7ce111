"""What a node of a Ray cluster does with a task."""

from __future__ import annotations

import dataclasses
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

from normscope.protocol.cells import torch_minor_version
from normscope.runner.cluster.shipping import Consignment, deliver
from normscope.runner.processes import Worker
from normscope.store.store import Store


@dataclasses.dataclass(frozen=True)
class Job:
    """What a node needs to run a plan's cells.

    Attributes:
        path: the driver's import path.
        timeout: of each cell, in seconds.
        torch: the driver's minor version of torch, which the cells' keys name.
        directory: the driver's working directory, where it is this node's; ``None`` for other machines.
        modules: the user's own modules, the cells' working directory then.
        data: the data sets.
        variable: tells a cell's process where they are.
    """

    path: tuple[str, ...]
    timeout: float | None
    torch: str
    directory: str | None
    modules: Consignment | None = None
    data: tuple[Consignment, ...] = ()
    variable: str = ""

    def settings(self) -> tuple[tuple[str, ...], dict[str, str], str | None]:
        """Import path, environment and working directory of the worker process on this node."""
        directory, path = self.directory, self.path
        if self.modules is not None:
            directory = str(deliver(self.modules))
            path = (directory, *path)
        folders = [str(deliver(consignment)) for consignment in self.data]
        return path, {self.variable: os.pathsep.join(folders)} if folders else {}, directory


class _Kept:
    """The worker process that a Ray worker keeps between its tasks; it ends with the Ray worker, at the latest."""

    worker: Worker | None = None
    settings: Any = None

    @classmethod
    def for_job(cls, job: Job) -> Worker:
        settings = job.settings()
        if cls.worker is not None and (cls.settings != settings or not cls.worker.alive):
            cls.worker.stop()
            cls.worker = None
        if cls.worker is None:
            cls.worker, cls.settings = Worker(*settings), settings
        return cls.worker


def run_cell(request: dict[str, Any], job: Job) -> tuple[dict[str, Any], bytes | None]:
    """The task: a worker's answer, and the cell's file unless the worker has written it to the store itself."""
    if (here := torch_minor_version()) != job.torch:
        return {"error": f"{socket.gethostname()} has torch {here}, the cells are for {job.torch}."}, None
    if job.directory is not None:
        return _Kept.for_job(job).ask(request, job.timeout), None
    try:
        with tempfile.TemporaryDirectory(prefix="normscope-cell-") as folder:
            answer = _Kept.for_job(job).ask({**request, "store": folder}, job.timeout)
            if "fatal" in answer:
                return _on_this_node(answer["fatal"]), None
            written = Store(Path(folder)).path(request["key"])
            return answer, written.read_bytes() if "seconds" in answer else None
    except OSError as error:
        return _on_this_node(str(error)), None


def _on_this_node(error: str) -> dict[str, Any]:
    """An error of one node's disk, from which another node need not suffer."""
    return {"died": f"on {socket.gethostname()}: {error}", "again": True}
