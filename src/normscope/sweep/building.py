"""A run's network and optimiser, built from their specs.

This module imports torch, so only a running cell and the check before a sweep import it.

A user's network is made by a **factory**: any callable at an import path that returns a ``torch.nn.Module``. The
factory gets the arguments of its spec, and each of the following for which it has a named parameter: ``norm`` (a spec
for :func:`normscope.nn.make`), ``place``, ``in_channels``, ``classes`` and ``image`` (height and width). When it has no
parameter ``norm``, surgery puts the norm in: if the network has norms, each is replaced in place; if it has none, one
is inserted at every convolution and linear layer except the output layer.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from normscope import networks, surgery, training
from normscope.data.catalogue import entry_of
from normscope.errors import InputError
from normscope.nn import module_kinds, specs
from normscope.sweep.parsing import AS_IS, NETWORKS, network_spec
from normscope.sweep.settings import Run
from normscope.targets import imported

_BUILT_IN: dict[str, Callable[..., nn.Module]] = {"lenet": networks.lenet, "resnet": networks.resnet}
_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
_SUPPLIED = ("norm", "place", "in_channels", "classes", "image")


@dataclasses.dataclass(frozen=True)
class DataShape:
    """What a network must fit, named as the parameters of its factory.

    Attributes:
        in_channels: channels of the images.
        image: height and width of the images.
        classes: number of classes.
    """

    in_channels: int
    image: int
    classes: int

    @classmethod
    def of(cls, run: Run) -> DataShape:
        """The shape of a run's data."""
        entry = entry_of(run.data)
        return cls(entry.shape[0], run.image_size, entry.classes)


def import_own(run: Run) -> None:
    """Import the user's modules that a run needs. Do so before seeding: a module may draw when it is first imported."""
    for spec, kind in ((network_spec(run.network), "network"), (specs.read(run.norm), "norm")):
        if spec.is_path:
            imported(spec.name, kind)


def build(run: Run) -> nn.Module:
    """A run's network, its weights drawn from the global generators: seed them before.

    Raises:
        InputError: the network cannot be made, or does not take the norm or the place.
    """
    spec = network_spec(run.network)
    supplied: dict[str, Any] = dataclasses.asdict(DataShape.of(run))
    if run.norm != AS_IS:
        supplied |= {"norm": run.norm, "place": run.place}
    factory = _BUILT_IN[spec.name] if spec.name in NETWORKS else _factory(spec.name)
    takes = _named_parameters(factory)
    for name in spec.arguments:
        if name in _SUPPLIED:
            raise InputError(f"network {run.network!r}: the sweep sets {name!r}; leave it out.")
    try:
        model = factory(**{name: supplied[name] for name in supplied if name in takes}, **spec.arguments)
    except InputError as error:
        raise InputError(f"network {run.network!r}: {error}") from error
    except (Exception, SystemExit) as error:  # a user's factory may raise anything
        raise InputError(
            f"network {run.network!r} cannot be made: {type(error).__name__}: {error}"
        ) from error
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


def _named_parameters(factory: Callable[..., Any]) -> set[str]:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except ValueError:  # a builtin without a signature
        return set()
    return {one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}


def _with_norm(model: nn.Module, run: Run) -> nn.Module:
    try:
        if next(module_kinds.norms(model), None) is None:
            shape = DataShape.of(run)
            images = torch.zeros(2, shape.in_channels, shape.image, shape.image)
            return surgery.insert_norms(model, run.norm, place=run.place, x=images)  # type: ignore[arg-type]
        if run.place != "after":
            raise InputError("its own norms are replaced in place: leave the place 'after'.")
        return surgery.replace_norms(model, run.norm)
    except InputError as error:
        raise InputError(f"network {run.network!r}: {error}") from error
