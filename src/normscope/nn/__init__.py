"""Normalization layers, each a drop-in module that trains and infers like ``torch.nn.BatchNorm*d``.

torch is imported when a layer is first asked for, so that :mod:`normscope.nn.specs` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from normscope.nn.batch import BatchNorm
    from normscope.nn.factory import make
    from normscope.nn.gated import AmplifyNorm, SuppressNorm

_HOME = {
    "AmplifyNorm": "gated",
    "BatchNorm": "batch",
    "SuppressNorm": "gated",
    "make": "factory",
}

__all__ = ["AmplifyNorm", "BatchNorm", "SuppressNorm", "make"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'normscope.nn' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"normscope.nn.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
