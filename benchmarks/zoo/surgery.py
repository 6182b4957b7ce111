"""Checks of surgery: replace, remove, insert, calibrate and fold."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

import normscope as ns
from benchmarks.zoo import brute_force
from benchmarks.zoo.check import Cell
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
from normscope.errors import InputError, NormscopeWarning
from normscope.surgery import ChannelsLast, changes

ROUNDING = 1e-9
"""Relative distance of two float64 computations of one function."""

SINGLE = 1e-6
"""The same, if one of them normalizes in float32: transformers' own norms do so whatever the type of the model."""

Spec = str


def replace(subject: Subject, spec: Spec) -> str:
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
    return f"{max(off):.0e}"


def remove(subject: Subject) -> str:
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
    return f"{max(off):.0e}"


def insert(subject: Subject) -> str:
    """``insert_norms`` computes the formula of the norm after every called layer except the output layers.

    It is checked with ``batch``, ``layer`` and ``rms``. Layers that are not called as modules are named as skipped.
    """
    return {_inserted(subject, spec) for spec in ("batch", "layer", "rms")}.pop()


def _inserted(subject: Subject, spec: Spec) -> str:
    model, x = subject.model, subject.inputs()
    called = brute_force.seen(model, x, layers(model))
    last = brute_force.output_layers(model, x, called)
    with Untouched(model, x):
        new = ns.insert_norms(model, spec, x=x)
    done = {change.other: change.name for change in changes(new) if change.action == "inserted"}
    if set(done) != set(called) - last:
        extra, lacking = set(done) - set(called) | set(done) & last, set(called) - last - set(done)
        raise Wrong(f"without a norm: {sorted(lacking)[:3]}; with a needless one: {sorted(extra)[:3]}")
    named_as_skipped(set(layers(model)) - set(called), new, "layer")
    off = []
    for training in (False, True):
        formulas = {
            layer: formula(spec, dict(model.named_modules())[layer], new, norm, training)
            for layer, norm in done.items()
        }
        wanted = brute_force.changed(model, x, training, formulas, after=True)
        off.append(
            close(silent(new, x, training), wanted, ROUNDING, f"{mode(training)}, compared with the formula")
        )
        if spec != "batch" or not training:
            causal(subject, new, training)
    trains(model, new, x, {norm: layer for layer, norm in done.items()})
    return f"{len(done)} norms"


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


def in_single(norm: nn.Module) -> bool:
    """Whether it is a norm that transformers wrote from scratch."""
    return type(norm).__module__.startswith("transformers.") and not isinstance(
        norm, nn.LayerNorm | nn.GroupNorm
    )


def listed(new: nn.Module, action: str) -> list[str]:
    """Names of the norms that were changed."""
    return [change.name for change in changes(new) if change.action == action]


def everywhere(old: Mapping[str, nn.Module], done: list[str], new: nn.Module) -> None:
    """Every norm was changed, or is named as skipped."""
    if extra := set(done) - set(old):
        raise Wrong(f"{sorted(extra)[0]} is not a norm")
    named_as_skipped(set(old) - set(done), new, "norm")


def named_as_skipped(lacking: set[str], new: nn.Module, kind: str) -> None:
    """``changes`` names these modules as skipped."""
    named = {change.name for change in changes(new) if change.action == "skipped"}
    if silent := lacking - named:
        raise Wrong(f"the {kind} {sorted(silent)[0]} was skipped silently")


def trains(model: nn.Module, new: nn.Module, x: Inputs, made: Mapping[str, str]) -> None:
    """A backward pass in training mode gives finite gradients to every parameter of the norms that can have one.

    Args:
        model: the original.
        new: the model with new norms.
        x: an input.
        made: each new norm, and the module of the original that shows by its gradients whether it can have one.
    """
    with_gradient = {
        name for name, gradient in _gradients(copy.deepcopy(model), x).items() if gradient is not None
    }
    gradients = _gradients(new, x)
    finite([gradient for gradient in gradients.values() if gradient is not None])
    if not any(bool(gradient.any()) for gradient in gradients.values() if gradient is not None):
        raise Wrong("all gradients are zero")
    for norm, old in made.items():
        if not any(name.startswith(f"{old}.") for name in with_gradient):
            continue
        for name, gradient in gradients.items():
            if name.startswith(f"{norm}.") and gradient is None:
                raise Wrong(f"{name} got no gradient")


def _gradients(model: nn.Module, x: Inputs) -> dict[str, Tensor | None]:
    model.train().zero_grad()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.stack([(y * torch.randn_like(y)).sum() for y in outputs(model, x)]).sum().backward()
    return {name: p.grad for name, p in model.named_parameters(remove_duplicate=False) if p.requires_grad}


def causal(subject: Subject, new: nn.Module, training: bool) -> None:
    """The last token does not change the logits of earlier tokens, and does change those of its own."""
    if not (key := subject.architecture.causal):
        return
    x = subject.inputs()
    other = dict(x)
    other[key] = x[key].clone()
    other[key][:, -1] = (x[key][:, -1] - 3 + 7) % 61 + 3
    before, after = silent(new, x, training)[0], silent(new, other, training)[0]
    moved = (before - after).abs().amax((0, 2)) / before.abs().max()
    if float(moved[:-1].max()) > ROUNDING:
        raise Wrong(
            f"{mode(training)}: the last token moves the logits of earlier tokens by {moved[:-1].max():.0e}"
        )
    if not float(moved[-1]):
        raise Wrong(f"{mode(training)}: the last token does not move its own logits")


def sentence(error: InputError, names: Mapping[str, Any] | None = None) -> None:
    """The message is one line that ends in a period, and names one of ``names`` if they are given."""
    text = str(error)
    if "\n" in text or not text.endswith("."):
        raise Wrong(f"not a sentence: {text!r}")
    if names is not None and not any(name in names for name in re.findall(r"'([^']*)'", text)):
        raise Wrong(f"no norm is named: {text!r}")


def mode(training: bool) -> str:
    """The name of the mode."""
    return "in training mode" if training else "in evaluation mode"
