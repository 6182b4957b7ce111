"""Forward and backward of each norm against ``torch.nn.BatchNorm2d``, interleaved in one run.

    python -m benchmarks.norms [--budget SECONDS] [--threads 1 2] [--only WORD]

Prints, a norm a row and a shape a column, the norm's median time over the framework's, beside the bound it is
held to; a ``!`` marks a ratio above it.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from normscope.nn import AmplifyNorm, BatchNorm, SuppressNorm

SHAPES = ((64, 6, 28, 28), (128, 16, 32, 32), (128, 64, 8, 8), (32, 64, 56, 56))


@dataclass(frozen=True)
class Contender:
    """A norm to time: its name, how to make it, the largest ratio allowed."""

    name: str
    make: Callable[[int], nn.Module]
    bound: float


# The inputs' channels have power below 1 in their first half and above 1 in their second.
CONTENDERS = (
    Contender("batch", BatchNorm, 1.05),
    Contender("amplify, all gated", lambda C: AmplifyNorm(C, threshold=1e9), 1.1),
    Contender("amplify, half gated", AmplifyNorm, 2.0),
    Contender("amplify, none gated", lambda C: AmplifyNorm(C, threshold=0), 2.0),
    Contender("suppress, all gated", lambda C: SuppressNorm(C, threshold=0), 1.1),
    Contender("suppress, half gated", SuppressNorm, 2.0),
    Contender("suppress, none gated", lambda C: SuppressNorm(C, threshold=1e9), 2.0),
)


def inputs(shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """A batch whose first half of channels is weak and second half strong, and an output gradient."""
    generator = torch.Generator().manual_seed(0)
    power = torch.full((shape[1], 1, 1), 0.5)
    power[shape[1] // 2 :] = 2.0
    x = torch.randn(shape, generator=generator) * power + 0.1
    return x.requires_grad_(), torch.randn(shape, generator=generator)


def step_time(layer: nn.Module, x: Tensor, grad: Tensor) -> float:
    """Seconds of one forward and backward."""
    x.grad = None
    layer.zero_grad()
    start = time.perf_counter()
    layer(x).backward(grad)
    return time.perf_counter() - start


def ratios(
    contenders: Sequence[Contender], shape: Sequence[int], budget: float
) -> tuple[dict[str, float], float]:
    """Median ratio of each contender to the framework's layer, and the framework's median seconds.

    Each round times the framework's layer and every contender once, in turn, so that a slow moment of the
    machine falls on all; a contender's ratio is of the medians over rounds.
    """
    x, grad = inputs(shape)
    native = nn.BatchNorm2d(shape[1])
    layers = [native, *(contender.make(shape[1]) for contender in contenders)]
    times: list[list[float]] = [[] for _ in layers]
    for layer in layers * 3:
        step_time(layer, x, grad)
    end = time.perf_counter() + budget
    order = random.Random(0)  # what a layer leaves in cache and allocator falls on each other in turn
    rounds = 0
    while rounds < 15 or time.perf_counter() < end:
        for index in order.sample(range(len(layers)), len(layers)):
            times[index].append(step_time(layers[index], x, grad))
        rounds += 1
    base, *others = (statistics.median(series) for series in times)
    return {c.name: other / base for c, other in zip(contenders, others, strict=True)}, base


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.norms", description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=4.0, help="seconds a shape and number of threads")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", default="", help="time only the norms whose name holds this word")
    options = parser.parse_args(arguments)
    contenders = [contender for contender in CONTENDERS if options.only in contender.name]
    names = ["x".join(map(str, shape)) for shape in SHAPES]
    for threads in options.threads:
        torch.set_num_threads(threads)
        measured = [ratios(contenders, shape, options.budget) for shape in SHAPES]
        print(f"\nforward + backward over nn.BatchNorm2d, {threads} thread(s), torch {torch.__version__}")
        print(f"{'':24}{'bound':>7}" + "".join(f"{name:>15}" for name in names))
        print(f"{'nn.BatchNorm2d':24}{'':>7}" + "".join(f"{base * 1e3:>12.2f} ms" for _, base in measured))
        for contender in contenders:
            row = [table[contender.name] for table, _ in measured]
            cells = "".join(f"{ratio:>14.2f}{' ' if ratio <= contender.bound else '!'}" for ratio in row)
            print(f"{contender.name:24}{contender.bound:>6.2f}x{cells}")


if __name__ == "__main__":
    main()
