"""Time a sweep against a plain PyTorch loop and Ray Tune, and measure what its engines cost.

    python -m benchmarks.sweep [--rounds N] [--seeds N] [--skip-tune] [--only training|overhead|resume]

training: every contender trains the same LeNets for one epoch (4,000 digits, every variant of Chai et al. 2020), once
per round, in a random order. It prints ratios of median times, each with the bar that it should reach. The sweep is
timed twice. "From nothing" includes the start of its workers; Ray Tune starts its trials too, but on a Ray that is
already running. "Started" uses running workers; likewise, the plain loop has already imported torch and trained a
network. Both times of the sweep include writing the results, which the plain loop does not do.

overhead: the time that an engine adds to each cell. resume: the time to find and read 10,000 finished cells.

A ``!`` marks a bar that is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import plain
from benchmarks.cells import empty_cells
from normscope import data, networks, runner
from normscope.papers.chai2020.cells.lenet import VARIANTS, LeNetTraining, train_lenet
from normscope.protocol import known_cell
from normscope.runner import Engine, Observer
from normscope.runner.worker import run_and_store
from normscope.store import Store
from normscope.timing import median_seconds, threads

CORES = runner.available_cores()
PLAIN_BAR, TUNE_BAR, OVERHEAD_BAR, RESUME_BAR = 1.5, 1.3, 20.0, 10.0
RATES, IMAGES = (0.01, 0.1, 0.5), 4_000  # No variant diverges at these rates, so all do the same work.
FINISHED = 10_000


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seeds",
        type=int,
        default=4,
        help="seeds of each of 12 settings; the bars are for 4 seeds, 48 cells",
    )
    parser.add_argument(
        "--skip-tune", action="store_true", help="leave Ray Tune out (needs the extra 'bench')"
    )
    parser.add_argument("--only", choices=("training", "overhead", "resume"))
    options = parser.parse_args(arguments)
    print(f"{CORES} cores, torch {torch.__version__}, {torch.get_num_threads()} threads by default")
    if options.only in (None, "training"):
        training(options.rounds, options.seeds, with_tune=not options.skip_tune)
    if options.only in (None, "overhead"):
        overhead(options.rounds)
    if options.only in (None, "resume"):
        resume()


def training(rounds: int, seeds: int, with_tune: bool) -> None:
    """Time the sweep, the plain loop and Ray Tune on the same cells, and print the ratios."""
    configs = [
        LeNetTraining(norm, rate, seed, "mnist5k", IMAGES, 1)
        for norm in VARIANTS
        for rate in RATES
        for seed in range(seeds)
    ]
    found = plain.digits(configs[0])
    loops = {"tensors in memory": plain.in_memory, "a DataLoader": plain.with_loader}
    once = median_seconds({name: partial(loop, configs[0], found) for name, loop in loops.items()}, 0.0, 5, 1)
    faster = min(once, key=once.__getitem__)
    peer = loops[faster]
    timed = ", ".join(f"{seconds:.2f} s with {name}" for name, seconds in once.items())
    print(f"\n{len(configs)} LeNet runs of one epoch; the plain loop uses {faster}: one run takes {timed}")
    errors: dict[str, list[float]] = {}
    contenders: dict[str, Callable[[], list[float]]] = {
        "sweep": lambda: _sweep(configs),
        "started": lambda: _sweep(configs, engine),
        "plain": lambda: [peer(config, found) for config in configs],
    }
    engine = runner.make_engine()
    with contextlib.ExitStack() as stack:
        stack.callback(engine.close)
        _sweep(configs[: 2 * CORES], engine)
        if with_tune:
            stack.enter_context(_ray())
            contenders["tune"] = lambda: _tune(configs)
        seconds = _interleaved(contenders, rounds, errors)
    per_image, peak = _flops_per_image(), _peak_flops()
    for name in seconds:
        per_second = len(configs) * IMAGES / seconds[name]
        share = per_second * per_image / peak
        print(f"{name:8} {seconds[name]:7.1f} s {per_second:8.0f} images/s {share:6.1%} of peak FLOP/s")
    print(
        f"plain loop over sweep with workers started: {_held(seconds['plain'] / seconds['started'], PLAIN_BAR)}"
    )
    print(f"plain loop over sweep from nothing: {seconds['plain'] / seconds['sweep']:.2f}")
    if with_tune:
        print(f"Ray Tune over sweep from nothing: {_held(seconds['tune'] / seconds['sweep'], TUNE_BAR)}")
    off = [abs(a - b) for a, b in zip(errors["sweep"], errors["plain"], strict=True)]
    print(f"validation errors of sweep and plain loop differ by {statistics.median(off):.4f} in the median")
    print(f"peak: {peak / 1e9:.0f} GFLOP/s, measured by products of 1536x1536 matrices on {CORES} threads")


def overhead(rounds: int, count: int = 500) -> None:
    """Print what a cell costs beyond its own work, in core time (seconds × cores / cells), with started workers."""
    print(f"\nengine overhead, {count} empty cells on {CORES} workers (bar {OVERHEAD_BAR:g} ms a cell)")
    for name in runner.ENGINES:
        engine = runner.make_engine(name)
        run_empty(engine, 4 * CORES)
        measured = [run_empty(engine, count) for _ in range(rounds)]
        engine.close()
        wall = statistics.median(seconds for seconds, _ in measured)
        driver = statistics.median(cpu for _, cpu in measured)
        each = 1e3 * wall * CORES / count
        mark = "" if each <= OVERHEAD_BAR else " !"
        print(
            f"{name:6} {each:6.1f} ms a cell{mark}; {count / wall:5.0f} cells/s, "
            f"of which the driver's CPU {1e3 * driver / count:.2f} ms a cell"
        )


def resume() -> None:
    """Print the time that a run needs to plan and read its cells when all of them are finished."""
    # In memory where possible: 10,000 flushes to a disk may take minutes.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        cells = empty_cells(FINISHED)
        store = Store(Path(folder))
        store.check_writable()
        started = time.perf_counter()
        for number, (key, cell) in enumerate(cells.items(), start=1):
            run_and_store(known_cell(cell.name), cell.config, key, store, {"version": cell.version})
            if number % store.compact_at == 0:
                store.compact()
        written = time.perf_counter() - started
        again = Store(Path(folder))
        started = time.perf_counter()
        plan = runner.plan(cells, again, CORES)
        planned = time.perf_counter() - started
        rows = len(again.table(cells))
        total = time.perf_counter() - started
    assert not plan.new
    mark = "" if total <= RESUME_BAR else " !"
    print(
        f"\n{FINISHED:,} finished cells: planned in {planned:.2f} s, {rows:,} rows read in {total - planned:.2f} s"
    )
    print(f"together {total:.2f} s (bar {RESUME_BAR:g} s){mark}")
    print(f"run, written and compacted at {1e3 * written / FINISHED:.2f} ms a cell, but for the disk")


def _interleaved(
    contenders: Mapping[str, Callable[[], list[float]]], rounds: int, errors: dict[str, list[float]]
) -> dict[str, float]:
    order, seconds = random.Random(0), {name: [] for name in contenders}
    for _ in range(rounds):
        for name in order.sample(list(contenders), len(contenders)):
            started = time.perf_counter()
            errors[name] = contenders[name]()
            seconds[name].append(time.perf_counter() - started)
    print("  ".join(f"{name}: {', '.join(f'{s:.1f}' for s in series)} s" for name, series in seconds.items()))
    return {name: statistics.median(series) for name, series in seconds.items()}


def _sweep(configs: Sequence[LeNetTraining], engine: Engine | None = None) -> list[float]:
    cells = {cell.key(data.digest): cell for cell in map(train_lenet.cell, configs)}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        failures = runner.run(runner.plan(cells, store, CORES), store, Observer(), engine=engine)
        assert not failures, failures
        table = store.table(cells)
    errors = table[table["measure"] == "validation_error"].groupby("cell")["value"].last()
    return [float(errors[key]) for key in cells]


def _tune(configs: Sequence[LeNetTraining]) -> list[float]:
    from ray import tune

    def trial(settings: Mapping[str, int]) -> None:
        config = configs[settings["number"]]
        tune.report({"error": plain.in_memory(config, plain.digits(config))})

    with tempfile.TemporaryDirectory() as folder:
        results = tune.Tuner(
            tune.with_resources(trial, {"cpu": 1}),
            param_space={"number": tune.grid_search(list(range(len(configs))))},
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
    assert not results.errors
    by_number = {result.config["number"]: result.metrics["error"] for result in results}
    return [by_number[number] for number in range(len(configs))]


@contextlib.contextmanager
def _ray() -> Iterator[None]:
    os.environ.update(
        RAY_USAGE_STATS_ENABLED="0",
        TUNE_DISABLE_AUTO_CALLBACK_LOGGERS="1",
    )
    import ray

    ray.init(
        address="local", num_cpus=CORES, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])}},
    )  # fmt: skip
    yield
    ray.shutdown()


def run_empty(engine: Engine, count: int) -> tuple[float, float]:
    """Wall-clock seconds and the driver's CPU seconds for running ``count`` empty cells."""
    cells = empty_cells(count)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        plan = runner.plan(cells, store, CORES)
        started, cpu = time.perf_counter(), time.process_time()
        failures = runner.run(plan, store, Observer(), engine=engine)
        seconds = time.perf_counter() - started, time.process_time() - cpu
    assert not failures, failures
    return seconds


def _flops_per_image() -> float:
    """Floating-point operations of the LeNet's forward and backward pass for one training image."""
    model, counter = networks.lenet(norm="none", image=32), FlopCounterMode(display=False)
    with counter:
        model(torch.zeros(64, 1, 32, 32)).sum().backward()
    return counter.get_total_flops() / 64


def _peak_flops(size: int = 1536) -> float:
    """Floating-point operations per second of torch's matrix product on all cores."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    with threads(CORES):
        return 2 * size**3 / min(_seconds(lambda: a @ b) for _ in range(10))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _held(ratio: float, bar: float) -> str:
    return f"{ratio:.2f} (bar {bar:g}){'' if ratio >= bar else ' !'}"


if __name__ == "__main__":
    main()
