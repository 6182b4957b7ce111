"""From a run's words to its network and its optimiser. This module imports torch: only a running cell and the check
before a run import it.

A network of the user's is made by a **factory**, any callable at an import path that returns a ``torch.nn.Module``. It
is called with the arguments of its spec, and with those of the following that it takes as named parameters: ``norm`` (a
spec for :func:`normscope.nn.make`), ``place``, ``in_channels``, ``classes`` and ``image`` (height and width). A factory
that does not take ``norm`` has the norm put in by surgery: where its network has norms they are all replaced, where
they stand; where it has none, one is inserted at every convolution and linear layer but the output layer.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from normscope import networks, surgery
from normscope.errors import InputError
from normscope.nn import module_kinds, specs
from normscope.sweep.runs import Run
from normscope.sweep.words import AS_IS, NETWORKS, network_spec
from normscope.targets import imported

_BUILT_IN: dict[str, Callable[..., nn.Module]] = {"lenet": networks.lenet, "resnet": networks.resnet}
_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
_SUPPLIED = ("norm", "place", "in_channels", "classes", "image")


@dataclasses.dataclass(frozen=True)
class Fit:
    """What a network must fit: channels and size of the images, and the number of classes."""

    in_channels: int
    image: int
    classes: int


def import_own(run: Run) -> None:
    """Import the user's modules behind a run: before seeding, since a module may draw when it is first imported."""
    for spec, kind in ((network_spec(run.network), "network"), (specs.read(run.norm), "norm")):
        if spec.is_path:
            imported(spec.name, kind)


def build(run: Run, fit: Fit) -> nn.Module:
    """The network of a run, drawn from the global generators: seed them before.

    Raises:
        InputError: when it cannot be made, in one sentence.
    """
    spec = network_spec(run.network)
    supplied: dict[str, Any] = dataclasses.asdict(fit)
    if run.norm != AS_IS:
        supplied |= {"norm": run.norm, "place": run.place}
    factory = _BUILT_IN[spec.name] if spec.name in NETWORKS else _factory(spec.name)
    takes = _named_parameters(factory)
    for name in spec.arguments:
        if name in _SUPPLIED:
            raise InputError(f"network {run.network!r}: {name!r} is the sweep's to give; leave it out.")
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
    return _with_norm(model, run, fit)


def make_optimizer(model: nn.Module, run: Run) -> torch.optim.Optimizer:
    """The optimiser of a run: the swept rate for all parameters, or for the convolutions' weights alone.

    Raises:
        InputError: when there is nothing to train, or torch refuses an argument.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [{"params": trained, "lr": run.rate}]
    if run.lr_for == "convolutions":
        convolutions = [
            module
            for module in model.modules()
            if isinstance(module, module_kinds.Convolution | module_kinds.Transposed)
        ]
        weights = {id(layer.weight) for layer in convolutions if layer.weight.requires_grad}
        groups = [
            {"params": [parameter for parameter in trained if id(parameter) in weights], "lr": run.rate},
            {
                "params": [parameter for parameter in trained if id(parameter) not in weights],
                "lr": run.other_lr,
            },
        ]
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


def _with_norm(model: nn.Module, run: Run, fit: Fit) -> nn.Module:
    try:
        if next(module_kinds.norms(model), None) is None:
            images = torch.zeros(2, fit.in_channels, fit.image, fit.image)
            return surgery.insert_norms(model, run.norm, place=run.place, x=images)  # type: ignore[arg-type]
        if run.place != "after":
            raise InputError("its own norms are replaced where they stand: leave the place 'after'.")
        return surgery.replace_norms(model, run.norm)
    except InputError as error:
        raise InputError(f"network {run.network!r}: {error}") from error
