"""What can be seen of a sweep before any worker starts: each of its networks is built and takes one small step."""

from __future__ import annotations

import torch
from torch import nn

from normscope import training
from normscope.errors import InputError
from normscope.networks.placement import check_place
from normscope.probes._spectrum import chosen_layers
from normscope.sweep.building import build, make_optimizer
from normscope.sweep.settings import Run, Sweep
from normscope.sweep.training_cell import fit

_EXAMPLES = 2


def check(sweep: Sweep) -> None:
    """Build every network of a sweep once, with every norm and place, and train it on two black images.

    Raises:
        UnknownNameError: for a place or a layer there is not.
        InputError: for a network or a norm that cannot be made, does not take the data's images, does not give one
            number a class, or cannot be trained.
    """
    for place in sweep.places:
        check_place(place)
    seen = set()
    for run in sweep.runs():
        if (arrangement := (run.network, run.norm, run.place)) not in seen:
            seen.add(arrangement)
            with training.seeded(0):
                _check_run(run, sweep.layer)


def _check_run(run: Run, layer: str | None) -> None:
    wanted = fit(run)
    model = build(run, wanted).train()
    if layer is not None:
        chosen_layers(model, [layer])
    optimizer = make_optimizer(model, run)
    images = torch.zeros(min(run.batch, _EXAMPLES), wanted.in_channels, wanted.image, wanted.image)
    shape = "×".join(map(str, images.shape[1:]))
    try:
        logits = model(images)
    except (Exception, SystemExit) as error:  # a user's network may raise anything
        raise InputError(
            f"network {run.network!r} with norm {run.norm!r} does not take the images of {run.data}, "
            f"{shape}: {type(error).__name__}: {error}"
        ) from error
    expected = (len(images), wanted.classes)
    if (
        not isinstance(logits, torch.Tensor)
        or tuple(logits.shape) != expected
        or not logits.is_floating_point()
    ):
        found = f"shape {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise InputError(
            f"network {run.network!r} gives {found} for {len(images)} images of {run.data}; "
            f"it must give logits of shape {expected}, one a class."
        )
    try:
        nn.functional.cross_entropy(logits, torch.zeros(len(images), dtype=torch.int64)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    except (Exception, SystemExit) as error:
        raise InputError(
            f"network {run.network!r} with norm {run.norm!r} cannot be trained: {type(error).__name__}: {error}"
        ) from error
