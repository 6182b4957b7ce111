"""What tests ask about processes, and how they wait for them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path


def wait_until(condition: Callable[[], bool], seconds: float = 120.0, every: float = 0.01) -> None:
    """Wait for a condition; fail after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so within {seconds:g} s"
        time.sleep(every)


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    return _status(process)[:1] not in ([], ["Z"])


def parent(process: int) -> int | None:
    """The process that started a process; ``None`` when that one does not exist."""
    status = _status(process)
    return int(status[1]) if status else None


def children(process: int) -> list[int]:
    """The processes that a process has started and that still exist."""
    found = []
    try:
        for thread in Path(f"/proc/{process}/task").iterdir():
            found += [int(child) for child in (thread / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def descendants(process: int) -> dict[int, str]:
    """The command lines of all processes that a process and its children have started, by process."""
    found = {}
    for child in children(process):
        found |= {child: command(child), **descendants(child)}
    return found


def command(process: int) -> str:
    """The command line of a process; empty when the process does not exist."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def catches(process: int, signal: int) -> bool:
    """Whether a process has a handler for a signal."""
    try:
        (caught,) = re.findall(
            r"^SigCgt:\s*([0-9a-f]+)$", Path(f"/proc/{process}/status").read_text(), re.MULTILINE
        )
    except (FileNotFoundError, ProcessLookupError):
        return False
    return bool(int(caught, 16) >> (signal - 1) & 1)


def _status(process: int) -> list[str]:
    """The fields of ``/proc/<process>/stat`` after the command: state, parent and so on."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
