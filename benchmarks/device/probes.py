"""Every instrument on a small ResNet, on the device and on the CPU, in float32 and float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

import normscope as ns
from benchmarks.device import errors
from benchmarks.device.report import Report
from normscope.generators import seeded

Instrument = Callable[[nn.Module, Tensor, Tensor], pd.DataFrame]

DEPTH, BATCH = 8, 16
TOLERANCES = {torch.float32: 2e-3, torch.float64: 1e-9}
"""Of the largest number in each column. In float32 devices add in other orders, through the whole network."""


def _probe(name: str) -> Callable[..., Any]:
    return getattr(ns.probes, name)  # AttributeError: this version has no such instrument


INSTRUMENTS: dict[str, Instrument] = {
    "moments": lambda m, x, y: _probe("moments")(m, x),
    "spectrum": lambda m, x, y: _probe("spectrum")(m, x),
    "spectrum(extremes)": lambda m, x, y: _probe("spectrum")(m, x, [second(m)], extremes=True),
    "histograms": lambda m, x, y: _probe("histograms")(m, x, bins=[-100.0, -1.0, 0.0, 1.0, 100.0]),
    "gradients": lambda m, x, y: _probe("gradients")(m, x, y),
    "bias_gradients": lambda m, x, y: _probe("bias_gradients")(m, x, y),
    "channel_gradients": lambda m, x, y: _probe("channel_gradients")(m, x, y),
    "class_gradients": lambda m, x, y: _probe("class_gradients")(m, x, y),
    "output_gradients": lambda m, x, y: _probe("output_gradients")(m, x, y),
    "gradient_histogram": lambda m, x, y: _probe("gradient_histogram")(m, x, y, bins=9),
    "gradient_alignment": lambda m, x, y: _probe("gradient_alignment")(m, x, y),
    "gradient_terms": lambda m, x, y: _probe("gradient_terms")(m, x, y, second(m), 0),
    "landscape": lambda m, x, y: _probe("landscape")(m, x, y, steps=(0.0, 0.01, 0.1)),
    "landscape(moments)": lambda m, x, y: _probe("landscape")(m, x, y, steps=(0.0, 0.01), moments="all"),
    "gradient_noise": lambda m, x, y: _probe("gradient_noise")(
        m.eval(), x, y, (1, 4), draws=20, generator=torch.Generator().manual_seed(0)
    ),
}
"""Each instrument as a function of a model, a batch and its labels. A new one is a line here."""

LEFT_OUT = ("condition",)
"""λ_max over a λ_min that may be of the size of rounding."""

COUNTED = {"histograms": 0.02, "gradient_histogram": 0.02}
"""Counts by bin: in float32 a value near an edge may change sides."""


def second(model: nn.Module) -> str:
    """The name of the model's second convolution."""
    return [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)][1]


def check(report: Report, kind: str) -> None:
    """Check every instrument, and the autocorrelation itself."""
    report.head("Instruments", "instrument", "largest error", "allowed", "verdict", "time")
    for dtype, tolerance in TOLERANCES.items():
        word = str(dtype).removeprefix("torch.")
        report.check(
            f"autocorrelation, {word}", tolerance, lambda dtype=dtype: _autocorrelations(dtype, kind)
        )
        for name, instrument in INSTRUMENTS.items():
            allowed = COUNTED.get(name, tolerance) if dtype == torch.float32 else tolerance
            report.check(f"{name}, {word}", allowed, lambda i=instrument, d=dtype: _error(i, d, kind))


def _error(instrument: Instrument, dtype: torch.dtype, kind: str) -> float:
    found, wanted = (read(instrument, dtype, one) for one in (kind, "cpu"))
    return errors.of_columns(found, wanted, LEFT_OUT)


def read(instrument: Instrument, dtype: torch.dtype, kind: str) -> pd.DataFrame:
    """What an instrument reads on a ResNet with batch norm and on seeded images."""
    with seeded(0):
        model = ns.networks.resnet(DEPTH).to(kind, dtype).train()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((BATCH, 3, 32, 32), generator=generator, dtype=torch.float64).to(kind, dtype)
    y = torch.randint(10, (BATCH,), generator=generator).to(kind)
    return instrument(model, x, y)


def _autocorrelations(dtype: torch.dtype, kind: str) -> float:
    """The largest error among kernels with and without stride, dilation and groups, in one to three dimensions."""
    cases = (
        ((4, 6, 14, 14), {"kernel_size": 5}),
        ((4, 6, 15, 14), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ((4, 6, 14, 14), {"kernel_size": 3, "dilation": 2, "groups": 2, "padding": 2}),
        ((4, 4, 14, 14), {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"}),
        ((4, 6, 50), {"kernel_size": 5, "padding": 2}),
        ((2, 3, 8, 8, 8), {"kernel_size": 3, "padding": 1}),
    )
    found = [0.0]
    for shape, options in cases:
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
        ours, theirs = (ns.probes.autocorrelation(x.to(one), **options) for one in (kind, "cpu"))
        found.append(errors.of_tensors({"R": ours}, {"R": theirs}))
    return max(found)
