"""A million cells on a thousand cores: where the driver becomes the limit.

    python -m benchmarks.scaling [--cells N] [--cores N] [--driver MS]

Simulates the Ray engine's loop. Each core runs one cell and has the next one queued. A driver takes finished cells one
at a time, writes each to the store and sends the core another; this costs it a fixed number of milliseconds per cell.
The cells' lengths are log-normal with a standard deviation of half their mean. For each mean length and driver's cost
it prints the wall-clock time, the share of the cores' time that is spent in cells, and that share by the formula
min(1, length / (cores x cost)).

Without ``--driver`` the cost is measured on this machine: the CPU time per cell of a real driver's loop (Ray, empty
cells) plus the time to write a cell's file of six kilobytes to the disk.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.sweep import run_empty
from normscope import runner
from normscope.disk.atomic import atomic_write

LENGTHS = (1.0, 3.0, 10.0, 60.0)
_FILE = 6_000


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--cores", type=int, default=1_000)
    parser.add_argument("--driver", type=float, nargs="+", help="milliseconds a cell")
    options = parser.parse_args(arguments)
    costs = options.driver or [measured_cost()]
    print(f"{options.cells:,} cells on {options.cores:,} cores")
    print(f"{'driver a cell':>14}{'cells of':>10}{'wall clock':>13}{'cores busy':>12}{'formula':>9}")
    for cost in costs:
        for length in LENGTHS:
            wall, busy = simulate(options.cells, options.cores, length, cost / 1e3)
            formula = min(1.0, length / (options.cores * cost / 1e3))
            print(f"{cost:>11.2f} ms{length:>8.0f} s{wall / 3600:>11.2f} h{busy:>12.1%}{formula:>9.1%}")


def simulate(cells: int, cores: int, length: float, cost: float, seed: int = 0) -> tuple[float, float]:
    """Wall-clock seconds, and the share of the cores' time spent in cells.

    Args:
        cells: number of cells.
        cores: number of cores.
        length: mean seconds of a cell.
        cost: the driver's seconds per cell.
        seed: seed of the lengths.
    """
    draw = random.Random(seed)
    mu, sigma = _log_normal(length, length / 2)
    arrivals: list[list[float]] = [[] for _ in range(cores)]  # When each core's waiting cells reach it.
    idle_since: dict[int, float] = dict.fromkeys(range(cores), 0.0)
    ends: list[tuple[float, int]] = []  # When each busy core's cell ends.
    driver = spent = wall = 0.0

    def start(core: int, now: float) -> float:
        seconds = draw.lognormvariate(mu, sigma)
        heapq.heappush(ends, (now + seconds, core))
        return seconds

    for sent in range(cells + 2 * cores):
        if sent < 2 * cores:
            core = sent % cores
            driver += cost
        else:
            now, core = heapq.heappop(ends)
            wall = max(wall, now)
            if arrivals[core]:
                spent += start(core, max(now, arrivals[core].pop()))
            else:
                idle_since[core] = now
            driver = max(driver, now) + cost
        if sent < cells:
            if core in idle_since:
                spent += start(core, max(driver, idle_since.pop(core)))
            else:
                arrivals[core].append(driver)
    wall = max(wall, driver)
    return wall, spent / (wall * cores)


def measured_cost(count: int = 500) -> float:
    """The driver's milliseconds for each cell that a cluster's node sends back."""
    engine = runner.make_engine("ray")
    run_empty(engine, 8)
    loop = statistics.median(run_empty(engine, count)[1] for _ in range(3)) / count
    engine.close()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        for number in range(count):
            with atomic_write(Path(folder) / f"{number}.parquet") as file:
                file.write(bytes(_FILE))
        disk = (time.perf_counter() - started) / count
    print(
        f"measured: {1e3 * loop:.2f} ms of CPU in the driver's loop, {1e3 * disk:.2f} ms to get a file to the disk"
    )
    return 1e3 * (loop + disk)


def _log_normal(mean: float, deviation: float) -> tuple[float, float]:
    """Mean and standard deviation of the logarithm of a log-normal variable."""
    variance = math.log1p((deviation / mean) ** 2)
    return math.log(mean) - variance / 2, math.sqrt(variance)


if __name__ == "__main__":
    main()
