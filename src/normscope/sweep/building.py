"""A run's network and optimiser, built from their specs.

This module imports torch, so only a running cell and the check before a sweep import it.

A user's network is made by a **factory**: any callable at an import path that returns a ``torch.nn.Module``. The
factory gets the arguments of its spec, and each of the following for which it has a named parameter: ``norm`` (a spec
for :func:`normscope.nn.make`), ``place``, ``in_channels``, ``classes`` and ``image`` (height and width of square
images). A parameter without a default may also be ``features`` (how many numbers an input has), ``shape`` (of one
input), ``outputs`` (how many numbers the network gives: the classes, or those of a regression target) and
``vocabulary`` (one more than the largest token). When the factory has no parameter ``norm``, surgery puts the norm in:
if the network has norms, each is replaced in place; if it has none, one is inserted at every convolution and linear
layer except the output layer.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from normscope import data, networks, surgery, training
from normscope.data.facts import Facts
from normscope.errors import InputError, said
from normscope.nn import module_kinds, specs
from normscope.nn.specs import Spec
from normscope.sweep.parsing import AS_IS, NETWORKS, classifies, loss_spec, network_spec
from normscope.sweep.settings import Run
from normscope.targets import imported

_BUILT_IN: dict[str, Callable[..., nn.Module]] = {"lenet": networks.lenet, "resnet": networks.resnet}
_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
_ARRANGED = ("norm", "place")
_ALWAYS = (*_ARRANGED, "in_channels", "classes", "image")
"""Supplied to every parameter of that name."""
_ASKED_FOR = ("features", "shape", "outputs", "vocabulary")
"""Supplied to parameters without a default only: in older factories these names may mean something else."""


def facts_of(run: Run) -> Facts:
    """The facts of a run's data, with the shape of the inputs as the network sees them."""
    facts = data.facts_of(run.data)
    if run.padding is None:
        return facts
    return dataclasses.replace(facts, shape=(facts.shape[0], run.padding, run.padding))


def examples(run: Run, count: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets of the shapes and types of a run's data: zeros, or the largest token and class."""
    facts = facts_of(run)
    x = torch.zeros(count, *facts.shape)
    if facts.vocabulary is not None:
        x = torch.full((count, *facts.shape), facts.vocabulary - 1)
    if facts.classes is None:
        return x, torch.zeros(count, *facts.target_shape)
    return x, torch.full((count, *facts.target_shape), facts.classes - 1)


def import_own(run: Run) -> None:
    """Import the user's modules that a run needs. Do so before seeding: a module may draw when it is first imported."""
    named = (
        (network_spec(run.network), "network"),
        (specs.read(run.norm), "norm"),
        (loss_spec(run.loss), "loss"),
    )
    for spec, kind in named:
        if spec.is_path:
            imported(spec.name, kind)


def build(run: Run) -> nn.Module:
    """A run's network, its weights drawn from the global generators: seed them before.

    Raises:
        InputError: the network cannot be made, or does not take the norm or the place.
    """
    spec = network_spec(run.network)
    factory = _BUILT_IN[spec.name] if spec.name in NETWORKS else _factory(spec.name)
    takes = _named_parameters(factory)
    for name in spec.arguments:
        if name in _ALWAYS:
            raise InputError(f"network {run.network!r}: the sweep sets {name!r}; leave it out.")
    supplied = _supplied(run, takes, spec)
    try:
        model = factory(**supplied, **spec.arguments)
    except InputError as error:
        raise InputError(f"network {run.network!r}: {error}") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a user's factory may raise anything
        raise InputError(f"network {run.network!r} cannot be made: {said(error)}") from error
    if not isinstance(model, nn.Module):
        kind = type(model).__name__
        raise InputError(f"network {run.network!r} made a {kind}: a factory returns a torch.nn.Module.")
    if run.norm == AS_IS or ("norm" in takes and ("place" in takes or run.place == "after")):
        return model
    if "norm" in takes:
        raise InputError(f"network {run.network!r} takes a norm but no place: leave the place 'after'.")
    return _with_norm(model, run)


def make_optimizer(model: nn.Module, run: Run) -> torch.optim.Optimizer:
    """A run's optimiser, with the swept rate for all parameters or for the convolutions' weights only.

    Raises:
        InputError: there is nothing to train at the swept rate, or torch refuses an argument.
    """
    groups = [{"params": [one for one in model.parameters() if one.requires_grad], "lr": run.rate}]
    if run.lr_for == "convolutions":
        groups = training.convolution_groups(model, run.rate, run.other_lr)
    if not groups[0]["params"]:
        what = "parameters" if run.lr_for == "all" else "convolutions"
        raise InputError(f"network {run.network!r} has no {what} to train.")
    spec = specs.read(run.optimizer, "optimizer")
    try:
        return _OPTIMIZERS[spec.name](groups, lr=run.rate, foreach=True, **spec.arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f"optimizer {run.optimizer!r} cannot be made: {error}") from error


def _factory(path: str) -> Callable[..., Any]:
    target = imported(path, "network")
    if not callable(target) or isinstance(target, nn.Module):
        kind = "finished network" if isinstance(target, nn.Module) else type(target).__name__
        raise InputError(f"network {path!r} is a {kind}: name a function or class that makes the network.")
    factory: Callable[..., Any] = target
    return factory


def _named_parameters(factory: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:  # a builtin without a signature
        return {}
    return {one.name: one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}


def _supplied(run: Run, takes: Mapping[str, inspect.Parameter], spec: Spec) -> dict[str, Any]:
    """The arguments that a factory gets from the sweep."""
    facts = facts_of(run)
    if spec.name in NETWORKS and not facts.is_image:
        size = "×".join(map(str, facts.shape)) or "()"
        flat = "give grey images a dimension of 1 channel, or " if len(facts.shape) == 2 else ""
        raise InputError(
            f"network {run.network!r} takes images (channels, height, width), not the inputs of "
            f"{data.unpinned(run.data)}, {size}: {flat}name a network of your own."
        )
    known = _known(run, facts)
    if spec.name in NETWORKS:
        known["classes"] = known["outputs"]
    required = {
        name for name, one in takes.items() if one.default is one.empty and name not in spec.arguments
    }
    for name in (*_ALWAYS, *_ASKED_FOR):
        if name in required and name not in known and name not in _ARRANGED:
            raise InputError(
                f"network {run.network!r} needs {name!r}, which {data.unpinned(run.data)} does not have: "
                f"{', '.join(f'{key} is {value}' for key, value in known.items() if key not in _ARRANGED)}."
            )
    return {name: value for name, value in known.items() if name in (takes if name in _ALWAYS else required)}


def _known(run: Run, facts: Facts) -> dict[str, Any]:
    """What a factory may ask for, by the name of its parameter."""
    known: dict[str, Any] = {}
    if run.norm != AS_IS:
        known |= {"norm": run.norm, "place": run.place}
    if len(facts.shape) > 1 and facts.kind != "tokens":
        known["in_channels"] = facts.shape[0]
    if facts.is_image and facts.shape[1] == facts.shape[2]:
        known["image"] = facts.shape[1]
    outputs = math.prod(facts.target_shape)
    if classifies(run.loss, facts):
        known["classes"] = outputs = facts.outputs
    known |= {"features": math.prod(facts.shape), "shape": facts.shape, "outputs": outputs}
    if facts.vocabulary is not None:
        known["vocabulary"] = facts.vocabulary
    return known


def _with_norm(model: nn.Module, run: Run) -> nn.Module:
    """The network with its norms replaced, or with norms inserted if it has none.

    Raises:
        InputError: surgery refuses, or would change nothing: the runs would be those of the network as it is.
    """
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            normed = _operated(model, run)
        except InputError as error:
            raise InputError(f"network {run.network!r}: {error}") from error
    done = any(change.action != "skipped" for change in surgery.changes(normed))
    if not done and run.norm != "none":
        raise InputError(
            f"network {run.network!r} stays as it is with norm {run.norm!r}: "
            f"{' '.join(str(one.message) for one in heard)}"
        )
    for one in heard if done else ():
        warnings.warn(one.message, one.category, stacklevel=2)
    return normed


def _operated(model: nn.Module, run: Run) -> nn.Module:
    if next(module_kinds.norms(model), None) is None:
        x, _ = examples(run, 2)
        return surgery.insert_norms(model, run.norm, place=run.place, x=x)  # type: ignore[arg-type]
    if run.place != "after":
        raise InputError("its own norms are replaced in place: leave the place 'after'.")
    return surgery.replace_norms(model, run.norm)
