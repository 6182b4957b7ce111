"""Norms beside the framework's own, and autocorrelation beside unfolding."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch
from torch import nn

import normscope as ns
from benchmarks.autocorrelation import Case, ours, unfold
from benchmarks.device.report import Report

SHAPES = ((64, 6, 28, 28), (128, 16, 32, 32), (32, 64, 56, 56))

NATIVE: Mapping[str, Callable[[int], nn.Module]] = {
    "nn.BatchNorm2d": nn.BatchNorm2d,
    "nn.GroupNorm(1)": lambda channels: nn.GroupNorm(1, channels),
    "nn.InstanceNorm2d": lambda channels: nn.InstanceNorm2d(channels, affine=True),
}
BESIDE = {
    "layer": "nn.GroupNorm(1)",
    "rms": "nn.GroupNorm(1)",
    "instance": "nn.InstanceNorm2d",
}
"""The framework's norm beside which a norm is timed; ``nn.BatchNorm2d`` for all others."""

SPECS = (
    "batch", "amplify", "suppress", "lp(p=1)", "lp(p=2)", "lp(p=3)", "lp(p=inf)", "alternating", "noisy", "layer",
    "instance", "rms", "dyt", "frn",
)  # fmt: skip

CASES = (
    Case((64, 6, 14, 14), 5),
    Case((128, 16, 32, 32), 3, padding=1),
    Case((128, 64, 8, 8), 3, padding=1),
    Case((32, 64, 56, 56), 3, padding=1),
    Case((32, 512, 7, 7), 3, padding=1),
)


def synchronize(kind: str) -> None:
    """Wait until the device has done what it was given."""
    if kind == "cuda":
        torch.cuda.synchronize()
    elif kind == "mps":
        torch.mps.synchronize()


def median_seconds(work: Callable[[], object], kind: str, budget: float) -> float:
    """The median time of a piece of work, of at least three rounds of five calls each."""
    for _ in range(3):
        work()
    synchronize(kind)
    rounds, end = [], time.perf_counter() + budget
    while len(rounds) < 3 or time.perf_counter() < end:
        begun = time.perf_counter()
        for _ in range(5):
            work()
        synchronize(kind)
        rounds.append((time.perf_counter() - begun) / 5)
    return statistics.median(rounds)


def norms(report: Report, kind: str, budget: float, shapes: tuple[tuple[int, ...], ...] = SHAPES) -> None:
    """Forward and backward of each norm in training mode, as a multiple of the framework's own norm of its kind."""
    names = ["×".join(map(str, shape)) for shape in shapes]
    report.head(
        f"Norms on {kind}: forward + backward, microseconds and multiples of the framework's", "norm", *names
    )
    native: dict[tuple[str, tuple[int, ...]], float] = {}

    def seconds(make: Callable[[int], nn.Module], shape: tuple[int, ...]) -> float:
        layer = make(shape[1]).to(kind).train()
        x = torch.randn(shape, device=kind, requires_grad=True)
        gradient = torch.randn(shape, device=kind)
        wanted = [x, *layer.parameters()]
        return median_seconds(lambda: torch.autograd.grad(layer(x), wanted, gradient), kind, budget)

    def of_native(name: str) -> tuple[object, ...]:
        native.update({(name, shape): seconds(NATIVE[name], shape) for shape in shapes})
        return tuple(f"{native[name, shape] * 1e6:.0f} µs" for shape in shapes)

    def of_ours(spec: str) -> tuple[object, ...]:
        peer = BESIDE.get(spec, "nn.BatchNorm2d")
        found = [seconds(lambda channels: ns.nn.make(spec, channels), shape) for shape in shapes]
        return tuple(
            f"{one * 1e6:.0f} µs, {one / native[peer, shape]:.2f}×"
            for one, shape in zip(found, shapes, strict=True)
        )

    for name in NATIVE:
        report.measure(name, 1 + len(shapes), lambda name=name: of_native(name))
    for spec in SPECS:
        beside = f" beside {BESIDE[spec]}" if spec in BESIDE else ""
        report.measure(f"{spec}{beside}", 1 + len(shapes), lambda spec=spec: of_ours(spec))


def autocorrelation(report: Report, kind: str, budget: float, cases: tuple[Case, ...] = CASES) -> None:
    """The autocorrelation of a layer's input, beside unfolding it and multiplying the patches."""
    report.head(f"Autocorrelation on {kind}", "input and kernel", "ours", "unfold + Gram", "ratio")

    def compared(case: Case) -> tuple[object, ...]:
        x = case.input().to(kind)
        found = [median_seconds(lambda way=way: way(x, case), kind, budget) for way in (ours, unfold)]
        return f"{found[0] * 1e3:.2f} ms", f"{found[1] * 1e3:.2f} ms", f"{found[1] / found[0]:.2f}×"

    for case in cases:
        report.measure(case.name, 4, lambda case=case: compared(case))
