"""The kinds of device that cells run on, and the device of the cell that is running.

A cell's function does not know where it runs: it asks :func:`current` and puts its network and its batches there.

The same cell gives the same bits on like devices. On an accelerator that takes settings, which :func:`running_on` makes
for the time of a cell: exact float32 products instead of TF32, and torch's deterministic algorithms, of which cuDNN is
not to try several and keep the fastest. An operation of a user's network for which torch has no deterministic algorithm
runs all the same, with a warning.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from normscope.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    import torch

KINDS = ("cpu", "cuda", "mps")
AUTO = "auto"

_CURRENT: ContextVar[str] = ContextVar("device", default="cpu")
_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS sums in a fixed order only with such a workspace


def check_name(name: str) -> None:
    """Refuse a name that stands for no kind of device, wherever cells run.

    Raises:
        UnknownNameError: for such a name.
    """
    if name not in (*KINDS, AUTO):
        if name.lower() == "gpu":
            raise InputError("a GPU is named by its kind: cuda (NVIDIA, AMD) or mps (Apple).")
        raise UnknownNameError("device", name, [*KINDS, AUTO])


def kind_of(name: str) -> str:
    """The kind of device that a name stands for: ``"auto"`` is an accelerator where there is one, else the CPU.

    Raises:
        UnknownNameError: for a name that is no kind of device.
        InputError: when this machine has no such device.
    """
    check_name(name)
    if name == AUTO:
        return next(kind for kind in ("cuda", "mps", "cpu") if is_here(kind))
    if not is_here(name):
        others = " and ".join(kind for kind in KINDS if is_here(kind))
        raise InputError(f"torch finds no {name} device on this machine: it has {others}.")
    return name


def is_here(kind: str) -> bool:
    """Whether this machine has a device of that kind. For the CPU, torch is not imported."""
    if kind == "cpu":
        return True
    import torch

    return torch.cuda.is_available() if kind == "cuda" else torch.backends.mps.is_available()


def models(kind: str) -> list[str]:
    """The makers' names of this machine's accelerators of a kind, one for each; none for the CPU."""
    if kind == "cpu" or not is_here(kind):
        return []
    import torch

    if kind == "mps":
        return ["Apple GPU"]
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def described(kind: str, found: Iterable[str | None]) -> str:
    """What a report says of an accelerator: its kind, the models that cells have run on, and how they computed."""
    names = " and ".join(sorted({model for model in found if model is not None}))
    return f"{kind}{f' ({names})' if names else ''}: float32 without TF32, deterministic algorithms"


def visible_gpus() -> list[str]:
    """What ``CUDA_VISIBLE_DEVICES`` can name: this process's GPUs, one name each."""
    if named := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return named.split(",")
    return [str(number) for number in range(len(models("cuda")))]


def current() -> torch.device:
    """The device of the cell that is running in this process; the CPU outside of one."""
    import torch

    return torch.device(_CURRENT.get())


@contextmanager
def running_on(kind: str) -> Iterator[None]:
    """A context in which :func:`current` is the device of that kind, and an accelerator computes reproducibly."""
    token = _CURRENT.set(kind)
    try:
        with contextlib.nullcontext() if kind == "cpu" else _reproducible(kind):
            yield
    finally:
        _CURRENT.reset(token)


@contextmanager
def _reproducible(kind: str) -> Iterator[None]:
    """Exact and deterministic arithmetic; at the end the memory that torch keeps is given back to other processes."""
    import torch

    if kind == "cuda":
        os.environ.setdefault(*_WORKSPACE)  # cuBLAS reads it when it starts
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    filling: Any = torch.utils.deterministic
    before = (cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic)
    algorithms = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        filling.fill_uninitialized_memory,
    )
    cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = False, False, False, True
    torch.use_deterministic_algorithms(True, warn_only=True)
    filling.fill_uninitialized_memory = False
    try:
        yield
    finally:
        cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = before
        torch.use_deterministic_algorithms(algorithms[0], warn_only=algorithms[1])
        filling.fill_uninitialized_memory = algorithms[2]
        if kind == "cuda":
            torch.cuda.empty_cache()
