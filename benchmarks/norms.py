"""Forward and backward of each norm against ``torch.nn.BatchNorm2d``, interleaved in one run.

    python -m benchmarks.norms [--budget SECONDS] [--threads 1 2] [--only WORD]

Prints a row per norm and a column per shape: the norm's median time over the framework's, with the bound that it must
keep; a ``!`` marks a ratio above the bound.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from normscope.nn import AmplifyNorm, BatchNorm, LpNorm, SuppressNorm
from normscope.timing import SHAPES, keep_memory, norm_ratios, threads


@dataclasses.dataclass(frozen=True)
class Contender:
    """A norm to time: its name, a function that makes it, and the largest ratio allowed."""

    name: str
    make: Callable[[int], nn.Module]
    bound: float


# The first half of the inputs' channels has power below 1, the second half above 1.
CONTENDERS = (
    Contender("batch", BatchNorm, 1.05),
    Contender("amplify, all gated", lambda C: AmplifyNorm(C, threshold=1e9), 1.1),
    Contender("amplify, half gated", AmplifyNorm, 2.0),
    Contender("amplify, none gated", lambda C: AmplifyNorm(C, threshold=0), 2.0),
    Contender("suppress, all gated", lambda C: SuppressNorm(C, threshold=0), 1.1),
    Contender("suppress, half gated", SuppressNorm, 2.0),
    Contender("suppress, none gated", lambda C: SuppressNorm(C, threshold=1e9), 2.0),
    Contender("l2", lambda C: LpNorm(C, p=2), 1.5),
    Contender("l2, uncentred", lambda C: LpNorm(C, p=2, centered=False), 1.5),
    Contender("l1", lambda C: LpNorm(C, p=1), 5.0),
    Contender("l3", lambda C: LpNorm(C, p=3), 5.0),
    Contender("l-inf", lambda C: LpNorm(C, p=math.inf), 5.0),
    Contender("l3, uncentred", lambda C: LpNorm(C, p=3, centered=False), 5.0),
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.norms", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--budget", type=float, default=4.0, help="seconds for each shape and number of threads"
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", default="", help="time only the norms whose name contains this word")
    options = parser.parse_args(arguments)
    contenders = [contender for contender in CONTENDERS if options.only in contender.name]
    names = ["x".join(map(str, shape)) for shape in SHAPES]
    keep_memory()
    makers = {contender.name: contender.make for contender in contenders}
    for count in options.threads:
        with threads(count):
            measured = [norm_ratios(makers, shape, options.budget) for shape in SHAPES]
        print(f"\nforward + backward over nn.BatchNorm2d, {count} thread(s), torch {torch.__version__}")
        print(f"{'':24}{'bound':>7}" + "".join(f"{name:>15}" for name in names))
        print(f"{'nn.BatchNorm2d':24}{'':>7}" + "".join(f"{base * 1e3:>12.2f} ms" for _, base in measured))
        for contender in contenders:
            row = [table[contender.name] for table, _ in measured]
            cells = "".join(f"{ratio:>14.2f}{' ' if ratio <= contender.bound else '!'}" for ratio in row)
            print(f"{contender.name:24}{contender.bound:>6.2f}x{cells}")


if __name__ == "__main__":
    main()
