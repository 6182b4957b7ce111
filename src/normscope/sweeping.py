"""A user's sweep, from words to a result: read, checked, then run like any experiment."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from typing import Any

from normscope.data import unpinned
from normscope.errors import DamagedError, InputError
from normscope.options import RunOptions
from normscope.progress import watching
from normscope.protocol import Result
from normscope.reproduction import Reproduction
from normscope.results import ExperimentFolder, ResultsFolder
from normscope.results.stored_run import ForeignError
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
    loss: str | None = None,
    name: str = "sweep",
    out: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    timeout: float | None = None,
    fresh: bool = False,
    engine: str = "local",
    ray_address: str | None = None,
    progress: bool | None = None,
    device: str = "cpu",
) -> Result:
    """Train networks with norms at learning rates, for several seeds: ``normscope sweep`` in Python.

    Every combination is one training run. Finished runs are kept: the same call runs only the missing ones. Where
    several values are allowed, give a list, or one text with commas between the values.

    Args:
        network: ``"lenet"``, ``"resnet(depth=20)"``, or ``"my.module:factory(width=32)"``. The module is imported here,
            and in new interpreters with this one's ``sys.path``; :mod:`normscope.sweep.building` says how a factory is
            called.
        norm: specs for :func:`normscope.nn.make`. ``"as-is"``, the default, leaves the network as its factory makes it;
            for a built-in network it means ``"batch"``.
        place: where the norms are placed: ``"after"``, ``"before"``, ``"prior"``, ``"top"``, as the network allows.
        lr: learning rates: numbers, or ``"low:high:count"`` for ``count`` rates from low to high in equal ratios.
        seeds: the number of seeds; they are 0, 1, ….
        data: the name of a data set (see ``normscope data list``), or a user's own: ``"my.module:loader"``, a function
            that returns training and validation data (:mod:`normscope.data.collecting` says in which forms);
            ``"idx:FOLDER"``, four IDX files; ``"images:FOLDER"``, pictures with a class a sub-folder. A loader is
            called once, here, and its arrays are kept in the cache for all workers.
        epochs: passes over the training examples.
        probe: ``"spectrum"`` and ``"moments"``: instruments that are read at the start, after 5 steps and at the end.
        batch: examples per batch.
        images: the number of training examples, counted from the first; by default all of them.
        optimizer: ``"sgd"``, ``"adam"`` or ``"adamw"``, with torch's arguments: ``"sgd(momentum=0.9)"``.
        lr_for: ``"all"`` parameters get the rates, or only the weights of the ``"convolutions"``.
        other_lr: the rate of all other parameters when ``lr_for`` is ``"convolutions"``.
        image_size: the height and width to which images are zero-padded; by default 32 for the LeNet, otherwise the
            data set's own size.
        layer: the layer whose spectra the figure shows; by default the second one.
        loss: ``"cross_entropy"``, the default for classes; ``"mse"``, the default for a regression target; ``"l1"``,
            ``"smooth_l1"``, ``"huber"``, ``"bce_with_logits"``, ``"multi_margin"``, with torch's arguments:
            ``"cross_entropy(label_smoothing=0.1)"``; or ``"my.module:function"`` of outputs and targets.
        name: the name of the sweep and of its folder under ``out``.
        out: the results folder; by default ``normscope-runs`` in the working directory.
        workers: the number of worker processes; by default one per core, or four per GPU.
        timeout: seconds after which a run counts as failed.
        fresh: run everything again, finished or not.
        engine: ``"local"``, worker processes of this machine, or ``"ray"``, tasks of a Ray cluster.
        ray_address: a running Ray cluster to join; by default Ray is started here.
        progress: whether to show progress; by default only in a notebook.
        device: ``"cpu"``, ``"cuda"``, ``"mps"``, or ``"auto"``: an accelerator where there is one. Finished runs are
            found again on the same kind of device only.

    Returns:
        The table, one row per measured number with the run's settings as columns, and the figure on demand.

    Raises:
        UnknownNameError: for an unknown network, norm, place, data set, probe, optimizer, layer, engine or device.
        InputError: for values that cannot be read or make no sense, a network that cannot be made or does not fit the
            data, a folder that cannot be written, or one that holds another sweep of that name; or a device that is not
            there, or that lacks float64, which the probes need.

    Example:
        >>> result = ns.run_sweep("lenet", ["batch", "suppress"], lr="0.01:10:7", seeds=5)  # doctest: +SKIP
        >>> result.figure().savefig("sweep.png")  # doctest: +SKIP
    """
    options = RunOptions(
        ResultsFolder(out),
        workers=workers,
        cell_timeout=timeout,
        fresh=fresh,
        engine=engine,
        ray_address=ray_address,
        device=device,
    )
    reproduction = prepared_sweep(
        name,
        options,
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
        loss=loss,
    )
    with watching(progress) as observer:
        (result,) = reproduction.run(observer)
    return result


def prepared_sweep(name: str, options: RunOptions, **words: Any) -> Reproduction:
    """A sweep that is ready to be planned or run.

    The first plan is refused when a network cannot be trained (each is built once, unless every run is finished), or
    when the folder holds another sweep of that name that this one does not contain.

    Args:
        name: the name of the sweep.
        options: where and how it is run; a sweep has one size, whatever the scale.
        words: the arguments of :meth:`normscope.sweep.Sweep.of`.

    Raises:
        UnknownNameError, InputError: as for :func:`run_sweep`.
    """
    sweep = Sweep.of(**words)

    def check(plan: Plan) -> None:
        if plan.new:
            from normscope.sweep import checking

            checking.check(sweep)
        _check_replaced(options.folder.experiment(name), sweep)

    return Reproduction([SweepExperiment(name, sweep)], options, check)


def _check_replaced(stored: ExperimentFolder, sweep: Sweep) -> None:
    """Refuse to overwrite a stored sweep that has runs or probes which this one lacks.

    A damaged table does not say which runs it had: it is made again from the cells.
    """
    try:
        run = stored.read()
        experiment = None if run is None else run.experiment()
    except DamagedError:
        return
    except ForeignError as error:
        raise InputError(
            f"{stored.path} holds something else ({error}): choose another name for the sweep (--name)."
        ) from error
    if experiment is None:
        return
    assert isinstance(experiment, SweepExperiment)
    old = experiment.sweep

    def runs(sweep: Sweep) -> set[Any]:
        # Of data with one name, only the present contents count: an edited data set takes the old one's place.
        data = unpinned(sweep.data)
        first = dataclasses.replace(sweep, seeds=1)
        return {dataclasses.replace(run, probes=(), data=data) for run in first.runs()}

    is_contained = old.seeds <= sweep.seeds and runs(old) <= runs(sweep)
    if not (is_contained and set(old.probes) <= set(sweep.probes)):
        raise InputError(
            f"{stored.path} holds another sweep, which this one would not contain: "
            "choose another name for this one (--name), or remove that folder."
        )
