"""A user's sweep, from words to a result: read, checked, run like any experiment."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from normscope.errors import InputError
from normscope.progress import watching
from normscope.protocol import Result
from normscope.reproduction import Reproduction
from normscope.results import files
from normscope.results.stored import read_sweep
from normscope.runner import Plan
from normscope.sweep import Sweep, SweepExperiment


def run_sweep(
    network: str | Iterable[str],
    norm: str | Iterable[str] | None = None,
    place: str | Iterable[str] = "after",
    lr: str | float | Iterable[float | str] = "0.01:10:7",
    seeds: int = 3,
    data: str = "mnist5k",
    epochs: int = 3,
    probe: str | Iterable[str] = (),
    *,
    batch: int = 64,
    images: int | None = None,
    optimizer: str = "sgd",
    lr_for: str = "all",
    other_lr: float = 0.1,
    image_size: int | None = None,
    layer: str | None = None,
    name: str = "sweep",
    out: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    timeout: float | None = None,
    fresh: bool = False,
    engine: str = "local",
    ray_address: str | None = None,
    progress: bool | None = None,
) -> Result:
    """Train networks with norms, in places, at learning rates, for seeds: ``normscope sweep`` in Python.

    Every combination is a training run of its own, kept when it is finished: the same call again runs only what is
    missing. Where several things may be named, they are a list or one text with commas between.

    Args:
        network: ``"lenet"``, ``"resnet(depth=20)"``, or ``"my.module:factory(width=32)"``, importable here and in a
            fresh interpreter with this one's ``sys.path``; how a factory is called stands in
            :mod:`normscope.sweep.building`.
        norm: specs for :func:`normscope.nn.make`, or ``"as-is"``, the default: the network as its factory makes it, a
            built-in one with ``"batch"``.
        place: ``"after"``, ``"before"``, ``"prior"``, ``"top"``, as the network takes them.
        lr: learning rates: numbers, or ``"low:high:count"`` for so many from low to high in equal ratios.
        seeds: how many seeds, from 0.
        data: a data set's name; see ``normscope data list``.
        epochs: passes over the training images.
        probe: ``"spectrum"`` and ``"moments"``, read at the start, after 5 steps and at the end.
        batch: images a batch.
        images: how many training images, from the first; all of them by default.
        optimizer: ``"sgd"``, ``"adam"`` or ``"adamw"``, with torch's arguments: ``"sgd(momentum=0.9)"``.
        lr_for: ``"all"``, or ``"convolutions"``: the rates are the convolution weights' alone.
        other_lr: the rate of everything else then.
        image_size: height and width to which images are zero-padded; by default 32 for the LeNet, and the data's own.
        layer: whose spectra the figure shows; the second layer by default.
        name: of the sweep and its folder under ``out``.
        out: the results folder; by default ``normscope-runs`` here, as on the command line.
        workers: worker processes; by default one a core.
        timeout: seconds after which a run counts as failed.
        fresh: run everything anew, finished or not.
        engine: ``"local"``, worker processes of this machine, or ``"ray"``, Ray's tasks.
        ray_address: a running Ray cluster to join; by default Ray is started here.
        progress: whether to show how it gets on; by default in a notebook only.

    Returns:
        The table, one row a measured number with the run's words as columns, and the figure on demand.

    Raises:
        UnknownNameError: for a name there is not.
        InputError: for words that make no sense, a network that cannot be made or does not fit the data, a folder that
            cannot be written, or one that holds another sweep of that name.

    Example:
        >>> result = ns.run_sweep("lenet", ["batch", "suppress"], lr="0.01:10:7", seeds=5)  # doctest: +SKIP
        >>> result.figure().savefig("sweep.png")  # doctest: +SKIP
    """
    reproduction = prepared_sweep(
        name,
        out,
        workers,
        timeout=timeout,
        fresh=fresh,
        engine=engine,
        ray_address=ray_address,
        network=network,
        norm=norm,
        place=place,
        lr=lr,
        seeds=seeds,
        data=data,
        epochs=epochs,
        probe=probe,
        batch=batch,
        images=images,
        optimizer=optimizer,
        lr_for=lr_for,
        other_lr=other_lr,
        image_size=image_size,
        layer=layer,
    )
    with watching(progress) as observer:
        (result,) = reproduction.run(observer)
    return result


def prepared_sweep(
    name: str,
    out: str | os.PathLike[str] | None,
    workers: int | None,
    *,
    timeout: float | None,
    fresh: bool,
    engine: str,
    ray_address: str | None,
    **words: Any,
) -> Reproduction:
    """A sweep ready to run; when there is anything to run, every network is built once first, to see that it can.

    Args:
        name: the sweep's.
        out: the results folder, where another sweep of that name may stand.
        workers, timeout, fresh, engine, ray_address: as for :func:`run_sweep`.
        words: those of :meth:`normscope.sweep.Sweep.of`.

    Raises:
        UnknownNameError, InputError: as :func:`run_sweep`.
    """
    sweep = Sweep.of(**words)

    def check(plan: Plan) -> None:
        if plan.new:
            from normscope.sweep import checking

            checking.check(sweep)
        _check_replaced(reproduction.out / name / files.DATA_NAME, sweep)

    reproduction = Reproduction(
        [SweepExperiment(name, sweep)],
        out=out,
        workers=workers,
        timeout=timeout,
        fresh=fresh,
        engine=engine,
        ray_address=ray_address,
        check=check,
    )
    return reproduction


def _check_replaced(path: Path, sweep: Sweep) -> None:
    """Refuse to put a sweep in the place of one that holds anything it does not."""
    if not path.exists():
        return
    old = read_sweep(path)
    if old is None:
        raise InputError(f"{path.parent} holds something else: choose another name for the sweep (--name).")

    def runs(sweep: Sweep) -> set[Any]:
        return {dataclasses.replace(run, probes=()) for run in sweep.runs()}

    if not (runs(old) <= runs(sweep) and set(old.probes) <= set(sweep.probes)):
        raise InputError(
            f"{path.parent} holds another sweep, which this one would not contain: "
            "choose another name for this one (--name), or remove that folder."
        )
