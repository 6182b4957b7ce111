"""The versions and threads that a cell's rows were made with, and whether a table's cells were made alike."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple


class Provenance(NamedTuple):
    """What may change the bits of a cell's rows without changing its key."""

    normscope: str
    torch: str
    python: str
    threads: int | None
    """Number of torch's threads; ``None`` for a cell that ran without torch."""


@functools.cache
def _shared(provenance: Provenance) -> Provenance:
    return provenance


def provenance_of(metadata: Mapping[str, Any]) -> Provenance:
    """The provenance in a cell's metadata. Equal ones are the same object, so that many cells share it."""
    normscope, torch, python = (
        str(metadata.get(name, "unknown")) for name in ("normscope", "torch", "python")
    )
    threads = metadata.get("threads")
    return _shared(Provenance(normscope, torch, python, threads if isinstance(threads, int) else None))


@functools.cache
def _version(package: str) -> str:
    return importlib.metadata.version(package)


def current_provenance() -> dict[str, Any]:
    """The provenance of this process, as metadata. torch is asked for its threads only when it has been imported."""
    torch = sys.modules.get("torch")
    return {
        "normscope": _version("normscope"),
        "torch": _version("torch"),
        "python": platform.python_version(),
        "threads": None if torch is None else torch.get_num_threads(),
    }


def mixture(provenances: Collection[Provenance]) -> str:
    """A sentence on how cells differ, each value with its number of cells; empty when they were made alike."""
    differences = []
    for name in Provenance._fields:
        counts = Counter(getattr(provenance, name) for provenance in provenances)
        counts.pop(None, None)
        if len(counts) > 1:
            values = " and ".join(
                f"{value} ({count} cell{'s' if count != 1 else ''})"
                for value, count in sorted(counts.items())
            )
            differences.append(f"{name} {values}")
    return f"Cells of mixed versions: {'; '.join(differences)}." if differences else ""
