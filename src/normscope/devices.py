"""The kinds of device that cells run on, and the device of the cell that is running.

A cell's function does not know where it runs: it asks :func:`current` and puts its network and its batches there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from normscope.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    import torch

KINDS = ("cpu", "cuda", "mps")
AUTO = "auto"

_CURRENT: ContextVar[str] = ContextVar("device", default="cpu")


def kind_of(name: str) -> str:
    """The kind of device that a name stands for: ``"auto"`` is an accelerator where there is one, else the CPU.

    Raises:
        UnknownNameError: for a name that is no kind of device.
        InputError: when this machine has no such device.
    """
    if name == AUTO:
        return next(kind for kind in ("cuda", "mps", "cpu") if is_here(kind))
    if name not in KINDS:
        raise UnknownNameError("device", name, [*KINDS, AUTO])
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


def current() -> torch.device:
    """The device of the cell that is running in this process; the CPU outside of one."""
    import torch

    return torch.device(_CURRENT.get())


@contextmanager
def running_on(kind: str) -> Iterator[None]:
    """A context in which :func:`current` is the device of that kind."""
    token = _CURRENT.set(kind)
    try:
        yield
    finally:
        _CURRENT.reset(token)
