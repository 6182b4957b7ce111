"""``normscope sweep``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from normscope.cli.exit_status import ExitStatus
from normscope.cli.running import (
    CellTimeout,
    Device,
    DryRun,
    Engine,
    Fresh,
    Out,
    RayAddress,
    Workers,
    run_or_list,
)

if TYPE_CHECKING:
    from normscope.protocol import Result
    from normscope.reproduction import Reproduction


def command(
    network: Annotated[
        list[str],
        typer.Option(metavar="SPEC", help="lenet, resnet(depth=20), my.module:factory; separate by commas."),
    ],
    norm: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="batch, suppress, my:Norm, as-is …; by default as-is."),
    ] = None,
    place: Annotated[
        list[str], typer.Option(metavar="PLACE", help="after, before; lenet, resnet: also prior, top.")
    ] = ["after"],  # noqa: B006
    lr: Annotated[
        list[str], typer.Option(metavar="RATES", help="low:high:count in equal ratios, or numbers.")
    ] = ["0.01:10:7"],  # noqa: B006
    seeds: Annotated[int, typer.Option(metavar="N", help="The number of seeds.")] = 3,
    data: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="A data set's name, my.module:loader, idx:FOLDER or images:FOLDER."
        ),
    ] = "mnist5k",
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="cross_entropy, mse, l1, …, my.module:function; by default as the labels are.",
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(metavar="N", help="Passes over the training examples.")] = 3,
    probe: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PROBE", help="spectrum, moments: read at the start, after 5 steps, at the end."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(metavar="N", help="Examples per batch.")] = 64,
    images: Annotated[
        int | None, typer.Option(metavar="N", help="The number of training examples; by default all.")
    ] = None,
    optimizer: Annotated[
        str, typer.Option(metavar="SPEC", help="sgd(momentum=0.9), adam, adamw(weight_decay=0.1) …")
    ] = "sgd",
    lr_for: Annotated[
        str, typer.Option(metavar="WHICH", help="The parameters that get the rates: all, or convolutions.")
    ] = "all",
    other_lr: Annotated[
        float, typer.Option(metavar="RATE", help="The rate of the others with --lr-for convolutions.")
    ] = 0.1,
    image_size: Annotated[
        int | None, typer.Option(metavar="N", help="Pad images to N×N; by default 32 for the LeNet.")
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The layer whose spectra the figure shows; by default the second."),
    ] = None,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="The name of the sweep and its folder.")
    ] = "sweep",
    out: Out = None,
    device: Device = "cpu",
    workers: Workers = None,
    engine: Engine = "local",
    ray_address: RayAddress = None,
    cell_timeout: CellTimeout = None,
    fresh: Fresh = False,
    dry_run: DryRun = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="With --dry-run: list every cell.")] = False,
) -> None:
    """Train networks with norms at several learning rates: table, figure, page.

    Modules are imported from the working directory. Finished runs are kept: after an interruption, the same command
    runs only the missing ones.
    """
    from normscope.cli import display, working_directory
    from normscope.options import RunOptions
    from normscope.results import ResultsFolder
    from normscope.sweeping import prepared_sweep

    working_directory.make_importable()
    folder = ResultsFolder(out)
    options = RunOptions(
        folder,
        workers=workers,
        cell_timeout=cell_timeout,
        fresh=fresh,
        engine=engine,
        ray_address=ray_address,
        device=device,
    )
    reproduction = prepared_sweep(
        name, options, network=network, norm=norm, place=place, lr=lr, seeds=seeds, data=data, epochs=epochs,
        probe=probe or (), batch=batch, images=images, optimizer=optimizer, lr_for=lr_for, other_lr=other_lr,
        image_size=image_size, layer=layer, loss=loss,
    )  # fmt: skip
    _show_own_data(reproduction, to_errors=not dry_run)
    (result,) = run_or_list(reproduction, dry_run=dry_run, verbose=verbose)
    _show_summary(result)
    display.show_failures(result.failures)
    stored = folder.experiment(name)
    display.show_paths(*(path for path in (stored.table, stored.bitmap, folder.page) if path.exists()))
    if result.failures:
        raise typer.Exit(ExitStatus.CELL_FAILED)


def _show_own_data(reproduction: Reproduction, *, to_errors: bool) -> None:
    """Print what was found in the user's own data; nothing for a data set of the catalogue."""
    from normscope.progress import console
    from normscope.sweep import SweepExperiment

    for experiment in reproduction.experiments:
        if isinstance(experiment, SweepExperiment) and experiment.sweep.own_data is not None:
            screen = console(stderr=to_errors)
            words = experiment.sweep.describe()["data"]
            screen.print(words, markup=False, soft_wrap=not screen.is_terminal)


def _show_summary(result: Result) -> None:
    """Print a line per network, norm and place: the best error or loss, and up to which rate no run diverged."""
    from normscope.cli import display
    from normscope.protocol import NotJudgedError
    from normscope.sweep import SweepExperiment
    from normscope.sweep.readings import summary

    assert isinstance(result.experiment, SweepExperiment)
    sweep = result.experiment.sweep
    try:
        rows = summary(result.table, sweep).to_dict("records")
    except NotJudgedError:
        return
    head = (
        "", "least error" if sweep.classifies else "least loss", "at rate", "no run diverged up to", "diverged",
    )  # fmt: skip
    shown = [
        (
            row["label"],
            f"{row['best_error']:.2%}" if sweep.classifies else f"{row['best_error']:.4g}",
            f"{row['best_rate']:.3g}",
            f"{row['stable_rate']:.3g}" if row["stable_rate"] == row["stable_rate"] else "none",
            f"{row['diverged']} of {row['runs']}",
        )
        for row in rows
    ]
    display.show_table(head, shown, numbers=True)
