"""The laboratory for normalization in neural networks.

``import normscope as ns`` is cheap: every heavy part (torch, pandas, matplotlib) is loaded when a name that needs it
is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from normscope import data, networks, nn, probes, surgery
    from normscope.reproduction import reproduce
    from normscope.surgery import (
        calibrate,
        equivalent_network,
        fold,
        insert_norms,
        remove_norms,
        replace_norms,
    )
    from normscope.sweeping import run_sweep

__version__ = "0.1.0"

_MODULES = ("data", "networks", "nn", "probes", "surgery")
_FUNCTIONS = {
    "calibrate": "normscope.surgery",
    "equivalent_network": "normscope.surgery",
    "fold": "normscope.surgery",
    "insert_norms": "normscope.surgery",
    "remove_norms": "normscope.surgery",
    "replace_norms": "normscope.surgery",
    "reproduce": "normscope.reproduction",
    "run_sweep": "normscope.sweeping",
}

__all__ = [
    "__version__",
    "calibrate",
    "data",
    "equivalent_network",
    "fold",
    "insert_norms",
    "networks",
    "nn",
    "probes",
    "remove_norms",
    "replace_norms",
    "reproduce",
    "run_sweep",
    "surgery",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"normscope.{name}")
    if name in _FUNCTIONS:
        value = getattr(importlib.import_module(_FUNCTIONS[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'normscope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
