"""Every cell on the device and on the CPU, twice on the device, and once in worker processes."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.device import errors
from benchmarks.device.report import Report
from normscope import devices
from normscope.protocol import CellFunction


@dataclasses.dataclass(frozen=True)
class Case:
    """A cell to run, and the largest error that is allowed.

    Attributes:
        function: the import path of the cell's function, ``module:name``.
        config: the name of the configuration's class in the same module, or its own import path.
        fields: the configuration, without the data set.
        tolerance: of the largest number of each measure; of a share of images, in its own unit.
        reads: whether the cell reads a data set.
    """

    function: str
    config: str
    fields: dict[str, Any]
    tolerance: float = 5e-3
    reads: bool = True

    @property
    def name(self) -> str:
        """The function, and the network's variant."""
        variant = [self.fields[name] for name in ("norm", "arrangement", "probes") if name in self.fields]
        return f"{self.function.partition(':')[2]}({', '.join(map(str, variant))})"

    def ready(self, data: str) -> tuple[CellFunction[Any], Any]:
        """The cell's function and its configuration."""
        module = self.function.partition(":")[0]
        config = _imported(self.config if ":" in self.config else f"{module}:{self.config}")
        given = {"data": data} if self.reads else {}
        return _imported(self.function), config(**self.fields, **given)


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


CHAI, BJORCK, SWEEP = (
    f"normscope.{name}" for name in ("papers.chai2020.cells", "papers.bjorck2018.cells", "sweep")
)

_LENET = {"rate": 0.1, "seed": 0, "images": 512}
_EARLY = {**_LENET, "norm": "batch", "steps": 3}
_RESNET = {"norm": "batch", "seed": 0, "images": 512, "depth": 8}
# Behind a batch norm a channel's mean is 0 but for rounding, and which weight has the median gradient is a near tie.
_UNNORMALIZED = {**_RESNET, "norm": "none"}
_RUN = {
    "network": "lenet", "norm": "amplify", "place": "after", "rate": 0.1, "seed": 0, "epochs": 1, "image_size": 32,
    "images": 512,
}  # fmt: skip
_NOISY = {**_LENET, "arrangement": "nlms_l2", "noise": 1.0, "epochs": 1}
_AMPLIFIED = {
    **_LENET, "arrangement": "batch", "epochs": 1, "states": (2,), "noises": (1.0,), "draws": 1, "span": 3,
}  # fmt: skip
_LINE = {**_RESNET, "rate": 0.01, "at_step": 2, "alphas": (0.0, 0.01)}
_SAMPLED = {**_RESNET, "norm": "none", "images": 64, "batch": 64, "sizes": (1, 4), "draws": 20}
_DESCENT = {"depth": 3, "trained": 2, "share": 0.9, "seed": 0, "steps": 50}

TRAIN_LENET = Case(
    f"{CHAI}.lenet:train_lenet", "LeNetTraining", {**_LENET, "norm": "batch", "epochs": 1}, 0.02
)
TRAIN_NOISY = Case(f"{CHAI}.noise:train_arrangement", "NoiseTraining", _NOISY, 0.02)
TRAIN_RESNET = Case(
    f"{BJORCK}.training:train_resnet",
    "ResNetTraining",
    {**_RESNET, "rate": 0.01, "epochs": 1, "test_images": 256},
    0.05,
)
SWEPT = Case(
    f"{SWEEP}.training_cell:train_network",
    f"{SWEEP}.settings:Run",
    {**_RUN, "probes": ("spectrum", "moments")},
    0.02,
)

CASES = (
    TRAIN_LENET,
    Case(TRAIN_LENET.function, TRAIN_LENET.config, {**TRAIN_LENET.fields, "norm": "suppress"}, 0.02),
    Case(f"{CHAI}.lenet:early_spectrum", "EarlySpectrum", _EARLY),
    Case(f"{CHAI}.gates:gate_activity", f"{CHAI}.lenet:EarlySpectrum", {**_EARLY, "norm": "amplify"}, 0.1),
    Case(f"{CHAI}.powers:channel_power", f"{CHAI}.lenet:EarlySpectrum", _EARLY),
    TRAIN_NOISY,
    Case(f"{CHAI}.noise:noise_amplification", "NoiseAmplification", _AMPLIFIED, 0.05),
    Case(f"{CHAI}.step_comparison:compare_steps", "StepComparison", {**_LENET, "arrangement": "prior"}, 0.02),
    Case(
        f"{CHAI}.step_comparison:balanced_step",
        "BalancedStep",
        {"variation": 0.5, "seed": 0},
        1e-8,
        reads=False,
    ),
    Case(
        f"{CHAI}.linear_descent:descend",
        "LinearDescent",
        {"share": 0.99, "seed": 0, "images": 32, "steps": 50},
        1e-8,
    ),
    Case(
        f"{CHAI}.scaled_inputs:scale_channels",
        "ScaledChannels",
        {"scaling": "unit_power", "correlation": 0.5, "seed": 0, "images": 32},
        1e-6,
    ),
    TRAIN_RESNET,
    Case(
        f"{BJORCK}.rate_trial:try_rate",
        "RateTrial",
        {**_RESNET, "rate": 0.001, "steps": 200, "batch": 16},
        0.3,
    ),
    Case(f"{BJORCK}.diverging:first_steps", "FirstSteps", {**_RESNET, "rate": 0.01, "steps": 2}, 0.02),
    *(
        Case(f"{BJORCK}.{name}", f"{BJORCK}.configuration:AtInitialisation", _RESNET, 0.02)
        for name in ("gradients:layer_gradients", "moments:channel_moments", "outputs:logit_gradients")
    ),
    Case(f"{BJORCK}.gradients:kernel_gradients", "KernelGradients", {**_RESNET, "layers": (2, 3)}, 0.02),
    Case(
        f"{BJORCK}.gradients:channel_contributions",
        "ChannelContributions",
        {**_UNNORMALIZED, "layer_number": 3},
        0.02,
    ),
    Case(f"{BJORCK}.activations:activation_histograms", "SomeLayers", {**_RESNET, "layers": (3, 5)}, 0.02),
    Case(f"{BJORCK}.classes:kernel_by_class", "OneKernel", {**_RESNET, "kernel": 3}, 0.02),
    Case(f"{BJORCK}.alignment:layer_alignment", "LayerAlignment", {**_RESNET, "layers": (2, 3)}, 0.02),
    Case(f"{BJORCK}.alignment:weight_alignment", "WeightAlignment", {**_RESNET, "layer_number": 3}, 0.02),
    Case(f"{BJORCK}.alignment:weight_terms", "WeightAlignment", {**_UNNORMALIZED, "layer_number": 3}, 0.02),
    Case(f"{BJORCK}.landscapes:loss_along_gradient", "GradientLine", _LINE, 0.02),
    Case(f"{BJORCK}.landscapes:moments_along_gradient", "GradientLine", {**_LINE, "double": True}, 0.02),
    Case(f"{BJORCK}.noise:sample_noise", "SampledNoise", _SAMPLED, 0.02),
    Case(f"{BJORCK}.linear_network:descend_linear_network", "LayerDescent", _DESCENT, 1e-6, reads=False),
    Case(SWEPT.function, SWEPT.config, _RUN, 0.02),
    SWEPT,
)
"""The cells. Training in float32 is chaotic: rounding grows with every step, so that runs are short. A new cell is an
entry here."""


def check(report: Report, kind: str, data: str) -> None:
    """Check every cell, then that the device repeats itself bit by bit, in this process and in workers."""
    report.head("Cells", "cell", "largest error", "allowed", "verdict", "time")
    for case in CASES:
        report.check(case.name, case.tolerance, lambda case=case: _error(case, kind, data))
    if unchecked := sorted(_all() - {case.ready(data)[0].name for case in CASES}):
        report.say(f"\nNot checked: {', '.join(unchecked)}.")
    report.head("The same cell, the same bits", "cell", "runs that differ", "allowed", "verdict", "time")
    for case in (TRAIN_LENET, TRAIN_NOISY, TRAIN_RESNET, SWEPT):
        report.check(f"{case.name} twice", 0.0, lambda case=case: _differs(case, kind, data))
    report.check("three cells in two workers", 0.0, lambda: in_workers(kind, data))


def _all() -> set[str]:
    """The names of all cells of papers and sweeps that run on a device."""
    found: set[str] = set()
    for package in (CHAI, BJORCK, SWEEP):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
            members = vars(importlib.import_module(module.name)).values()
            found |= {one.name for one in members if isinstance(one, CellFunction)}
    return found


def rows_of(case: Case, kind: str, data: str) -> pd.DataFrame:
    """The rows of a cell that runs on a kind of device."""
    function, config = case.ready(data)
    with devices.running_on(kind):
        return function(config).to_pandas()


def _error(case: Case, kind: str, data: str) -> float:
    return errors.of_rows(rows_of(case, kind, data), rows_of(case, "cpu", data))


def _differs(case: Case, kind: str, data: str) -> float:
    return float(not rows_of(case, kind, data).equals(rows_of(case, kind, data)))


def in_workers(kind: str, data: str) -> float:
    """The number of cells whose rows from worker processes are not those of this process."""
    from normscope import runner
    from normscope.store import Store

    cells, wanted = {}, {}
    for case in (TRAIN_LENET, TRAIN_NOISY, TRAIN_RESNET):
        function, config = case.ready(data)
        cell = function.cell(config).on(kind)
        cells[cell.key(str)] = cell
        wanted[cell.key(str)] = rows_of(case, kind, data)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "cells")
        failures = runner.run(runner.plan(cells, store, workers=2), store, runner.Observer())
        if failures:
            raise RuntimeError("; ".join(failures.values()))
        found = {key: store.read(key).rows.to_pandas().drop(columns="cell") for key in cells}
    return float(sum(not found[key].equals(wanted[key]) for key in cells))
