"""What every operation of surgery must keep: no silent omission, finite gradients, causality; and how it may refuse."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.zoo.check import Cell
from benchmarks.zoo.subject import Inputs, Subject, Wrong, finite, outputs, silent
from normscope.errors import InputError
from normscope.surgery import changes

ROUNDING = 1e-9
"""Relative distance of two float64 computations of one function."""

SINGLE = 1e-6
"""The same, if one of them normalizes in float32: transformers' own norms do so whatever the type of the model."""


def in_single(norm: nn.Module) -> bool:
    """Whether it is a norm that transformers wrote from scratch."""
    return type(norm).__module__.startswith("transformers.") and not isinstance(
        norm, nn.LayerNorm | nn.GroupNorm
    )


def with_skipped(text: str, new: nn.Module, expected: Collection[str] = ()) -> Cell:
    """The cell of an operation, with a star and the sentences if it skipped something that was not ``expected``."""
    skipped = [
        change for change in changes(new) if change.action == "skipped" and change.name not in expected
    ]
    return Cell(True, text + "*" * bool(skipped), tuple(map(str, skipped)))


def listed(new: nn.Module, action: str) -> list[str]:
    """Names of the norms that were changed."""
    return [change.name for change in changes(new) if change.action == action]


def everywhere(old: Mapping[str, nn.Module], done: list[str], new: nn.Module) -> None:
    """Every norm was changed, or is named as skipped; at least one was changed."""
    if not done:
        raise Wrong("no norm was changed")
    if extra := set(done) - set(old):
        raise Wrong(f"{sorted(extra)[0]} is not a norm")
    named_as_skipped(set(old) - set(done), new, "norm")


def named_as_skipped(lacking: set[str], new: nn.Module, kind: str, parents: bool = False) -> None:
    """``changes`` names these modules as skipped, or with ``parents`` the modules that they are in."""
    named = {change.name for change in changes(new) if change.action == "skipped"}
    for name in sorted(lacking - named):
        if not (parents and name.rpartition(".")[0] in named):
            raise Wrong(f"the {kind} {name} was skipped silently")


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
