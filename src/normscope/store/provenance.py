"""The versions and threads that a cell's rows were made with, and whether a table's cells were made alike."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, TypeGuard

from normscope import devices
from normscope.errors import DamagedError

_UNKNOWN = "unknown"
_MOST_THREADS = 2**31
_NO_PROVENANCE = "its metadata do not say what it was made with"


class Provenance(NamedTuple):
    """What may change the bits of a cell's rows without changing its key."""

    normscope: str
    torch: str
    python: str
    threads: int | None
    """Number of torch's threads; ``None`` for a cell that ran without torch."""
    accelerator: str | None = None
    """The maker's name of the device; ``None`` for a cell that ran on the CPU."""


def provenance_of(metadata: Mapping[str, Any]) -> Provenance:
    """The provenance in a cell's metadata. Equal ones are the same object, so that many cells share it.

    Raises:
        DamagedError: a field has a type that is never written.
    """
    read = metadata.get
    try:
        return _shared(
            read("normscope", _UNKNOWN),
            read("torch", _UNKNOWN),
            read("python", _UNKNOWN),
            read("threads"),
            read("accelerator"),
        )
    except TypeError:  # a list or a mapping, which no hash can be made of
        raise DamagedError(_NO_PROVENANCE) from None


@functools.lru_cache(maxsize=None, typed=True)
def _shared(
    normscope: object, torch: object, python: object, threads: object, accelerator: object
) -> Provenance:
    if not (_is_version(normscope) and _is_version(torch) and _is_version(python) and _is_number(threads)):
        raise DamagedError(_NO_PROVENANCE)
    if not (accelerator is None or _is_version(accelerator)):
        raise DamagedError(_NO_PROVENANCE)
    return Provenance(normscope, torch, python, threads, accelerator)


def _is_version(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.isprintable()


def _is_number(value: object) -> TypeGuard[int | None]:
    return value is None or (type(value) is int and 0 < value <= _MOST_THREADS)


@functools.cache
def _version(package: str) -> str:
    return importlib.metadata.version(package)


def current_provenance(device: str = "cpu") -> dict[str, Any]:
    """The provenance of this process, as metadata. torch is asked for its threads only when it has been imported.

    Args:
        device: the kind of device of the cell that this process has run.
    """
    torch = sys.modules.get("torch")
    accelerator = {} if device == "cpu" else {"accelerator": devices.models(device)[0]}
    return {
        **accelerator,
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
