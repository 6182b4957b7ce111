"""The check before any worker starts: build each network of a sweep and take one small training step with it."""

from __future__ import annotations

from torch import Tensor

from normscope import data, training
from normscope.errors import InputError, said
from normscope.networks.placement import check_place
from normscope.probes._spectrum import chosen_layers
from normscope.sweep import losses
from normscope.sweep.building import build, examples, facts_of, import_own, make_optimizer
from normscope.sweep.parsing import classifies, loss_spec
from normscope.sweep.settings import Run, Sweep
from normscope.targets import place_kept

_EXAMPLES = 2


def check(sweep: Sweep) -> None:
    """Build every network of a sweep once with every norm and place, and train it on two black images.

    Data that are no images are zeros, or the largest token.

    Raises:
        UnknownNameError: a place or a layer does not exist.
        InputError: a network, a norm or a loss cannot be made, a network does not take the data's inputs, does not
            return one logit per class or what the loss takes, or cannot be trained.
    """
    for place in sweep.places:
        check_place(place)
    one_of_each = {(run.network, run.norm, run.place): run for run in sweep.runs()}
    for run in one_of_each.values():
        with training.seeded(0), place_kept():
            _check_run(run, sweep.layer)


def _check_run(run: Run, layer: str | None) -> None:
    import_own(run)
    model = build(run).train()
    if layer is not None:
        chosen_layers(model, [layer])
    optimizer = make_optimizer(model, run)
    facts = facts_of(run)
    x, y = examples(run, min(run.batch, _EXAMPLES))
    named, of = f"network {run.network!r} with norm {run.norm!r}", data.unpinned(run.data)
    try:
        output = model(x)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a user's network may raise anything
        what = "images" if facts.is_image else "inputs"
        hint = (
            " (whole numbers are tokens; return measured numbers as floats)" if facts.kind == "tokens" else ""
        )
        shape = "×".join(map(str, facts.shape)) or "()"
        raise InputError(f"{named} does not take the {what} of {of}, {shape}: {said(error)}{hint}") from error
    _check_output(output, y, run)
    try:
        loss = losses.objective(run.loss, facts).loss(output, y)
        _check_loss(loss, run)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    except (InputError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise InputError(f"{named} cannot be trained: {said(error)}") from error


def _check_output(output: object, y: Tensor, run: Run) -> None:
    """Refuse an output that the loss, or the count of wrong answers, cannot take."""
    facts = facts_of(run)
    is_class = classifies(run.loss, facts)
    if loss_spec(run.loss).is_path and not is_class:
        return
    expected, meaning = tuple(y.shape), "as the targets have it"
    if is_class:
        expected, meaning = (len(y), facts.outputs, *y.shape[1:]), "one per class"
    found = type(output).__name__
    if isinstance(output, Tensor):
        found, shape = f"shape {tuple(output.shape)}", tuple(output.shape)
        fits = shape == expected if is_class else losses.same_but_ones(shape, expected)
        if fits and output.is_floating_point():
            return
    what = "logits" if is_class else "numbers"
    raise InputError(
        f"network {run.network!r} gives {found} for {len(y)} "
        f"{'images' if facts.is_image else 'examples'} of {data.unpinned(run.data)}; "
        f"it must give {what} of shape {expected}, {meaning}."
    )


def _check_loss(loss: object, run: Run) -> None:
    if isinstance(loss, Tensor) and loss.numel() == 1 and loss.is_floating_point():
        return
    found = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
    raise InputError(f"loss {run.loss!r} gives {found}: it must give one number, a mean over the batch.")
