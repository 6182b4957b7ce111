"""The check before any worker starts: build each network of a sweep and take one small training step with it."""

from __future__ import annotations

import torch
from torch import nn

from normscope import training
from normscope.errors import InputError
from normscope.networks.placement import check_place
from normscope.probes._spectrum import chosen_layers
from normscope.sweep.building import DataShape, build, make_optimizer
from normscope.sweep.settings import Run, Sweep

_EXAMPLES = 2


def check(sweep: Sweep) -> None:
    """Build every network of a sweep once with every norm and place, and train it on two black images.

    Raises:
        UnknownNameError: a place or a layer does not exist.
        InputError: a network or a norm cannot be made, does not take the data's images, does not return one logit per
            class, or cannot be trained.
    """
    for place in sweep.places:
        check_place(place)
    one_of_each = {(run.network, run.norm, run.place): run for run in sweep.runs()}
    for run in one_of_each.values():
        with training.seeded(0):
            _check_run(run, sweep.layer)


def _check_run(run: Run, layer: str | None) -> None:
    data = DataShape.of(run)
    model = build(run).train()
    if layer is not None:
        chosen_layers(model, [layer])
    optimizer = make_optimizer(model, run)
    images = torch.zeros(min(run.batch, _EXAMPLES), data.in_channels, data.image, data.image)
    named = f"network {run.network!r} with norm {run.norm!r}"
    try:
        logits = model(images)
    except (Exception, SystemExit) as error:  # a user's network may raise anything
        shape = "×".join(map(str, images.shape[1:]))
        raise InputError(
            f"{named} does not take the images of {run.data}, {shape}: {type(error).__name__}: {error}"
        ) from error
    _check_logits(logits, (len(images), data.classes), run)
    try:
        nn.functional.cross_entropy(logits, torch.zeros(len(images), dtype=torch.int64)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    except (Exception, SystemExit) as error:
        raise InputError(f"{named} cannot be trained: {type(error).__name__}: {error}") from error


def _check_logits(logits: object, shape: tuple[int, int], run: Run) -> None:
    if isinstance(logits, torch.Tensor) and tuple(logits.shape) == shape and logits.is_floating_point():
        return
    found = f"shape {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else type(logits).__name__
    raise InputError(
        f"network {run.network!r} gives {found} for {shape[0]} images of {run.data}; "
        f"it must give logits of shape {shape}, one per class."
    )
