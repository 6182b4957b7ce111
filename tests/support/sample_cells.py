"""Cells that behave well and badly, importable by worker processes."""

import dataclasses
import os
import signal
import sys
import time
from pathlib import Path

from normscope.errors import InputError
from normscope.protocol import Rows, cell


@dataclasses.dataclass(frozen=True)
class Numbers:
    """The first number and how many follow."""

    start: float
    count: int = 3
    pair: tuple[int, ...] = (1, 2)
    label: str | None = None


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """How the cell behaves, a folder for its traces, and how long it takes."""

    kind: str
    folder: str = ""
    seconds: float = 0.0


@cell(name="samples.numbers", version=1)
def numbers(config: Numbers):
    """Some rows, the last of them infinite."""
    rows = Rows()
    for index in range(config.count):
        rows.add("number", config.start + index, index=index)
    rows.add("number", float("inf"))
    return rows.table()


@cell(name="samples.behave", version=1, cost=lambda config: 1.0 + config.seconds)
def behave(config: Behaviour):
    """One row, or one of several ways to go wrong."""
    if config.folder:
        with (Path(config.folder) / "traces").open("a") as traces:
            traces.write(f"{config.kind} {os.getpid()}\n")
    if config.kind == "refuse":
        raise InputError("this was refused.")
    if config.kind == "broken accelerator":
        raise RuntimeError("CUDA error: device-side assert triggered")
    if config.kind == "full accelerator":
        import torch

        raise torch.OutOfMemoryError("CUDA out of memory.")
    if config.kind == "raise":
        raise RuntimeError("this went wrong")
    if config.kind == "print":
        print("this is not an answer to the driver")
    if config.kind == "read":
        sys.stdin.read()
    if config.kind == "exit":
        print("about to leave", file=sys.stderr, flush=True)
        os._exit(7)
    if config.kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if config.kind == "killed once" and len((Path(config.folder) / "traces").read_text().splitlines()) < 2:
        os.kill(os.getpid(), signal.SIGKILL)
    while config.kind == "wait" and not (Path(config.folder) / "go").exists():
        time.sleep(0.02)
    time.sleep(config.seconds)
    rows = Rows()
    rows.add("done", 1.0)
    return rows.table()
