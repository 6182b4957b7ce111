"""Checks of surgery: replace, remove, insert, calibrate and fold."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

import normscope as ns
from benchmarks.zoo import brute_force
from benchmarks.zoo.check import Cell
from benchmarks.zoo.laws import (
    ROUNDING,
    SINGLE,
    causal,
    everywhere,
    in_single,
    listed,
    mode,
    named_as_skipped,
    sentence,
    trains,
    with_skipped,
)
from benchmarks.zoo.subject import (
    Inputs,
    Subject,
    Untouched,
    Wrong,
    close,
    distance,
    finite,
    layers,
    norms,
    outputs,
    silent,
)
from benchmarks.zoo.uses import uses
from normscope.errors import InputError, NormscopeWarning
from normscope.surgery import ChannelsLast, changes

Spec = str
Place = Literal["after", "before"]


def replace(subject: Subject, spec: Spec) -> Cell:
    """``replace_norms`` computes the formula of the new norm in every norm's place, in both modes, and can be trained.

    Where every norm of the model is of the same kind as the spec, the model is the same function. Every norm is
    replaced or named as skipped. A decoder stays causal.
    """
    model, x, old = subject.model, subject.inputs(), norms(subject.model)
    with Untouched(model, x):
        new = ns.replace_norms(model, spec)
    done = listed(new, "replaced")
    everywhere(old, done, new)
    off = [0.0]
    for training in (False, True):
        found = silent(new, x, training)
        formulas = {name: formula(spec, old[name], new, name, training) for name in done}
        wanted = brute_force.changed(model, x, training, formulas)
        off.append(close(found, wanted, ROUNDING, f"{mode(training)}, compared with the formula"))
        if subject.architecture.norms == spec:
            tolerance = SINGLE if any(map(in_single, old.values())) else ROUNDING
            wanted = silent(model, x, training)
            off.append(close(found, wanted, tolerance, f"{mode(training)}, not the same function"))
        elif distance(found, silent(model, x, training)) < 1e-6:
            raise Wrong(f"{mode(training)}: the output did not change")
    for training in (False,) if spec == "batch" else (False, True):
        causal(subject, new, training)
    trains(model, new, x, dict(zip(done, done, strict=True)))
    return with_skipped(f"{max(off):.0e}", new)


def remove(subject: Subject) -> Cell:
    """``remove_norms`` computes what the model computes if every norm returns its input, in both modes."""
    model, x, old = subject.model, subject.inputs(), norms(subject.model)
    with Untouched(model, x):
        new = ns.remove_norms(model)
    done = listed(new, "removed")
    everywhere(old, done, new)
    off = []
    for training in (False, True):
        wanted = brute_force.changed(model, x, training, dict.fromkeys(done, Tensor.clone))
        off.append(close(silent(new, x, training), wanted, ROUNDING, mode(training)))
        causal(subject, new, training)
    trains(model, new, x, {})
    return with_skipped(f"{max(off):.0e}", new)


def insert(subject: Subject) -> Cell:
    """``insert_norms`` computes the formula of the norm after every called layer except the output layers.

    It is checked with ``batch``, ``layer`` and ``rms``, and with ``batch`` before the layers. Layers that are not
    called as modules, and weights that the model uses itself, are named as skipped.
    """
    ways: tuple[tuple[Spec, Place], ...] = (
        ("batch", "after"),
        ("layer", "after"),
        ("rms", "after"),
        ("batch", "before"),
    )
    cells = [_inserted(subject, spec, place) for spec, place in ways]
    return cells[0]


def _inserted(subject: Subject, spec: Spec, place: Place) -> Cell:
    model, x = subject.model, subject.inputs()
    called = brute_force.seen(model, x, layers(model))
    last = brute_force.output_layers(model, x, called)
    with Untouched(model, x):
        new = ns.insert_norms(model, spec, place, x=x)
    done = {change.other: change.name for change in changes(new) if change.action == "inserted"}
    if not done or set(done) - set(called) | set(done) & last:
        raise Wrong(f"norms at {sorted(done)[:3]}")
    named_as_skipped(set(layers(model)) - set(done), new, "layer")
    named_as_skipped(set(uses(model, x, layers(model), False)) - set(called), new, "weight", parents=True)
    for training in (False, True):
        formulas = {
            layer: formula(spec, model.get_submodule(layer), new, norm, training)
            for layer, norm in done.items()
        }
        wanted = brute_force.changed(model, x, training, formulas, place)
        close(silent(new, x, training), wanted, ROUNDING, f"{spec} {place}, {mode(training)}")
        if spec != "batch" or not training:
            causal(subject, new, training)
    trains(model, new, x, {norm: layer for layer, norm in done.items()})
    return with_skipped(f"{len(done)} norms", new, last)


def calibrate(subject: Subject) -> str:
    """``calibrate`` finds the mean and variance that hooks measure, over two batches of unequal size.

    It is checked after every norm was replaced by ``batch``, and on the model itself. Where the model has no running
    statistics, a warning or a refusal says so.
    """
    batches = [subject.inputs(4, 1), subject.inputs(2, 2)]
    off = [_calibrated(ns.replace_norms(subject.model, "batch"), batches)]
    if any(
        isinstance(norm.__dict__["_buffers"].get("running_mean"), Tensor)
        for norm in norms(subject.model).values()
    ):
        off.append(_calibrated(subject.model, batches))
    else:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                ns.calibrate(subject.model, batches)
            except InputError as error:
                sentence(error)
            else:
                if not any(issubclass(w.category, NormscopeWarning) for w in said):
                    raise Wrong("a model without running statistics is calibrated without a warning")
    return f"{max(off):.0e}"


def _calibrated(model: nn.Module, batches: list[Inputs]) -> float:
    with Untouched(model, batches[0]):
        new = ns.calibrate(model, batches)
    keeping = {n: m for n, m in model.named_modules() if isinstance(m._buffers.get("running_mean"), Tensor)}
    sums: dict[str, list[tuple[int, Tensor, Tensor]]] = {}

    def hook(name: str) -> Callable[..., None]:
        def measure(module: nn.Module, args: Any, kwargs: Any, output: Tensor) -> None:
            rows = brute_force.first(args, kwargs).double().transpose(0, 1).flatten(1)
            sums.setdefault(name, []).append((rows.shape[1], rows.mean(1), rows.var(1)))

        return measure

    trial = copy.deepcopy(model).eval()
    for name in keeping:
        trial.get_submodule(name).train()
    with torch.no_grad(), brute_force.hooked(trial, {name: hook(name) for name in keeping}):
        for batch in batches:
            outputs(trial, batch)
    off = 0.0
    for name, found in sums.items():
        total = sum(count for count, _, _ in found)
        mean, var = (sum(row[0] * row[place] for row in found) / total for place in (1, 2))
        for buffer, wanted, scale in (
            ("running_mean", mean, (mean.square() + var).sqrt()),
            ("running_var", var, var),
        ):
            gap = float(((new.get_submodule(name).get_buffer(buffer) - wanted).abs() / scale).max())
            if not gap <= ROUNDING:
                raise Wrong(f"{buffer} of {name}: off by {gap:.1e}")
            off = max(off, gap)
    finite(silent(new, batches[0]))
    return off


def fold(subject: Subject) -> Cell:
    """``fold`` computes what a model of batch norms computes in evaluation mode, and refuses other norms by name.

    A model whose norms were replaced by ``batch`` and calibrated is folded, too, or a norm is named that cannot be.
    """
    model, x = subject.model, subject.inputs()
    parts, said = [], []
    for start in (model, ns.calibrate(ns.replace_norms(model, "batch"), [x])):
        with Untouched(start, x):
            try:
                new = ns.fold(start, x)
            except InputError as error:
                sentence(error, dict(model.named_modules()))
                if subject.architecture.norms == "batch":
                    raise Wrong(str(error)) from error
                parts.append("no")
                said.append(str(error))
                continue
        if subject.architecture.norms not in ("batch", "mixed") and start is model:
            raise Wrong("folded norms that look at their input")
        off = close(silent(new, x), silent(start, x), 1e-6, "folded")
        if left := norms(new):
            raise Wrong(f"{next(iter(left))} is left")
        parts.append(f"{off:.0e}")
    return Cell(True, " ".join(parts), tuple(said))


def formula(
    spec: Spec, old: nn.Module, new: nn.Module, name: str, training: bool
) -> Callable[[Tensor], Tensor]:
    """The formula of the norm ``name`` of the new model, in the place of a norm or after a layer."""
    made = new.get_submodule(name)
    return brute_force.formula(spec, old, made.norm if isinstance(made, ChannelsLast) else made, training)
