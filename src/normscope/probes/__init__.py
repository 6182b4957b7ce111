"""Instruments: what a network's layers see and do, one instrument a file, each a function of a model and a
batch.

An instrument leaves the model, its modes and every random generator as it found them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from normscope.probes._autocorrelation.lags import autocorrelation
    from normscope.probes._moments import moments
    from normscope.probes._spectrum import accumulate, spectrum
    from normscope.probes.eigenvalues import Spectrum, spectrum_of
    from normscope.probes.sampling import SpectrumSampler

_HOMES = {
    "Spectrum": "normscope.probes.eigenvalues",
    "SpectrumSampler": "normscope.probes.sampling",
    "accumulate": "normscope.probes._spectrum",
    "autocorrelation": "normscope.probes._autocorrelation.lags",
    "moments": "normscope.probes._moments",
    "spectrum": "normscope.probes._spectrum",
    "spectrum_of": "normscope.probes.eigenvalues",
}

__all__ = [
    "Spectrum",
    "SpectrumSampler",
    "accumulate",
    "autocorrelation",
    "moments",
    "spectrum",
    "spectrum_of",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'normscope.probes' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
