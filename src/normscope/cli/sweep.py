"""``normscope sweep``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from normscope.protocol import Result

CELL_FAILED = 1


def sweep(
    network: Annotated[
        list[str],
        typer.Option(
            metavar="SPEC", help="lenet, resnet(depth=20), my.module:factory; commas between several."
        ),
    ],
    norm: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEC", help="batch, suppress, my:Norm, as-is …; as-is by default."),
    ] = None,
    place: Annotated[list[str], typer.Option(metavar="PLACE", help="after, before, prior, top.")] = ["after"],  # noqa: B006
    lr: Annotated[
        list[str], typer.Option(metavar="RATES", help="low:high:count in equal ratios, or numbers.")
    ] = ["0.01:10:7"],  # noqa: B006
    seeds: Annotated[int, typer.Option(metavar="N", help="How many seeds.")] = 3,
    data: Annotated[
        str, typer.Option(metavar="NAME", help="A data set; see 'normscope data list'.")
    ] = "mnist5k",
    epochs: Annotated[int, typer.Option(metavar="N", help="Passes over the training images.")] = 3,
    probe: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PROBE", help="spectrum, moments: read at the start, after 5 steps, at the end."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(metavar="N", help="Images a batch.")] = 64,
    images: Annotated[
        int | None, typer.Option(metavar="N", help="How many training images; all by default.")
    ] = None,
    optimizer: Annotated[
        str, typer.Option(metavar="SPEC", help="sgd(momentum=0.9), adam, adamw(weight_decay=0.1) …")
    ] = "sgd",
    lr_for: Annotated[
        str, typer.Option(metavar="WHICH", help="all, or convolutions: the rates are their weights' alone.")
    ] = "all",
    other_lr: Annotated[
        float, typer.Option(metavar="RATE", help="The rate of everything else with --lr-for convolutions.")
    ] = 0.1,
    image_size: Annotated[
        int | None, typer.Option(metavar="N", help="Pad images to N×N; for the LeNet 32 by default.")
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose spectra the figure shows; the second layer by default."),
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="The sweep's name, and its folder's.")] = "sweep",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where results are kept.")] = Path(
        "normscope-runs"
    ),
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Worker processes; one a core by default.")
    ] = None,
    engine: Annotated[str, typer.Option(metavar="ENGINE", help="local or ray.")] = "local",
    ray_address: Annotated[str | None, typer.Option(metavar="A", help="The Ray cluster to join.")] = None,
    cell_timeout: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds after which a run counts as failed.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run everything anew, finished or not.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the runs and the estimate; run nothing.")
    ] = False,
) -> None:
    """Train networks with norms at learning rates of your own choice: table, figure, page.

    Modules are imported from the working directory. Finished runs are kept: the same command again goes on where it was
    stopped.
    """
    import os
    import sys

    from normscope.cli import display
    from normscope.cli.data import fetch_missing
    from normscope.progress import watching
    from normscope.sweeping import prepared_sweep

    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    reproduction = prepared_sweep(
        name, out, workers, timeout=cell_timeout, fresh=fresh, engine=engine, ray_address=ray_address,
        network=network, norm=norm, place=place, lr=lr, seeds=seeds, data=data, epochs=epochs,
        probe=probe or (), batch=batch, images=images, optimizer=optimizer, lr_for=lr_for, other_lr=other_lr,
        image_size=image_size, layer=layer,
    )  # fmt: skip
    if dry_run:
        display.show_plan(reproduction.plan(offline=True))
        return
    fetch_missing(reproduction.datasets())
    with watching(True) as observer:
        (result,) = reproduction.run(observer)
    _show_summary(result)
    _show_places(result, out)
    if result.failures:
        raise typer.Exit(CELL_FAILED)


def _show_summary(result: Result) -> None:
    from collections import Counter

    from rich.table import Table
    from rich.text import Text

    from normscope.progress import console
    from normscope.protocol import NotJudgedError
    from normscope.sweep import SweepExperiment
    from normscope.sweep.readings import summary

    assert isinstance(result.experiment, SweepExperiment)
    screen = console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "least error", "at rate", "no run diverged up to", "diverged"):
        table.add_column(column, justify="right" if column else "left")
    try:
        rows = summary(result.table, result.experiment.sweep).to_dict("records")
    except NotJudgedError:
        rows = []
    for row in rows:
        stable = f"{row['stable_rate']:.3g}" if row["stable_rate"] == row["stable_rate"] else "none"
        table.add_row(
            Text(row["label"]),
            f"{row['best_error']:.2%}",
            f"{row['best_rate']:.3g}",
            stable,
            f"{row['diverged']} of {row['runs']}",
        )
    if rows:
        screen.print(table)
    for error, count in Counter(result.failures.values()).items():
        screen.print(f"{count} cell{'s' if count != 1 else ''} failed: {error}", markup=False)


def _show_places(result: Result, out: Path) -> None:
    from normscope.progress import console

    folder = out / result.id
    places = (folder / "data.parquet", folder / "figure.png", out / "report.html")
    for place in places:
        if place.exists():
            console().print(str(place), markup=False, soft_wrap=True)
