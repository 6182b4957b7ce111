"""How, where and at which scale experiments are run: the choices that the command line and Python hand down."""

from __future__ import annotations

import dataclasses

from normscope import devices
from normscope.errors import InputError, UnknownNameError
from normscope.protocol import Scale
from normscope.results import ResultsFolder
from normscope.runner import ENGINES


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """The options of a run, checked when they are created.

    Attributes:
        folder: the results folder.
        scale: how large the experiments are.
        workers: how many cells run in parallel; ``None``: as many as the engine has cores.
        cell_timeout: seconds after which a cell counts as failed; ``None``: no limit.
        fresh: whether every cell is run again, even when the store has it.
        engine: ``"local"``, worker processes of this machine, or ``"ray"``, tasks of a Ray cluster.
        ray_address: the Ray cluster to join, ``"host:port"`` or ``"auto"``; ``None``: Ray is started here.
        device: the device that cells run on: ``"cpu"``, ``"cuda"``, ``"mps"``, or ``"auto"`` for an accelerator where
            there is one.

    Raises:
        InputError: for fewer than one worker, a time-out that is not positive, or a device that is not there.
        UnknownNameError: for an unknown engine or device.
    """

    folder: ResultsFolder = dataclasses.field(default_factory=ResultsFolder)
    scale: Scale = Scale.QUICK
    workers: int | None = None
    cell_timeout: float | None = None
    fresh: bool = False
    engine: str = "local"
    ray_address: str | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise InputError(f"{self.workers} workers cannot run anything: give 1 or more.")
        if self.cell_timeout is not None and not self.cell_timeout > 0:
            raise InputError(f"a cell time-out of {self.cell_timeout:g} s is not positive.")
        if self.engine not in ENGINES:
            raise UnknownNameError("engine", self.engine, ENGINES)
        devices.check_name(self.device)
        if self.ray_address is None:  # a cluster has devices of its own, which the engine looks for
            devices.kind_of(self.device)
