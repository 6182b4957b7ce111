"""``normscope bench-norm``."""

from __future__ import annotations

from typing import Annotated

import typer

from normscope.errors import InputError


def command(
    specs: Annotated[
        list[str],
        typer.Argument(metavar="SPEC", help="Norms: 'suppress(threshold=2)', 'mypackage.mymodule:MyNorm', …"),
    ],
    threads: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="How many threads; give it again for another measurement."),
    ] = None,
    budget: Annotated[float, typer.Option(metavar="S", help="Seconds per input shape.")] = 4.0,
) -> None:
    """Time norms, forward and backward, relative to torch's batch norm in the same run."""
    import functools

    from normscope import timing
    from normscope.cli import display, working_directory
    from normscope.nn import make
    from normscope.progress import counted

    counts = threads or [1]
    if min(counts) < 1 or not budget > 0:
        raise InputError("threads must be 1 or more, and the budget a positive number of seconds.")
    working_directory.make_importable()
    makers = {spec: functools.partial(make, spec) for spec in dict.fromkeys(specs)}
    for shape in timing.SHAPES:
        for maker in makers.values():
            maker(shape[1])
    timing.keep_memory()
    for count in counts:
        with timing.threads(count):
            measured = [timing.norm_ratios(makers, shape, budget) for shape in timing.SHAPES]
        head = [f"forward + backward, {counted(count, 'thread')}"]
        head += ["×".join(map(str, shape)) for shape in timing.SHAPES]
        rows = [["nn.BatchNorm2d", *(f"{seconds * 1e3:.2f} ms" for _, seconds in measured)]]
        rows += [[spec, *(f"{ratios[spec]:.2f}×" for ratios, _ in measured)] for spec in makers]
        display.show_table(head, rows, numbers=True)
