"""Norms that no layer can take over, whatever the layers are: those that are refused, and those that stay."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from normscope.errors import InputError
from normscope.nn.module_kinds import core, layers, modules, norm_like
from normscope.surgery._changes import Change
from normscope.surgery.skipping import left_alone
from normscope.surgery.tracing import Graph


def refuse_norm_like(model: nn.Module) -> None:
    """Refuse a model with a module that looks like a norm, has tensors of its own and cannot be exchanged.

    Raises:
        InputError: naming the first such module, and the reason.
    """
    for name, module, reason in norm_like(model):
        if any(True for _ in (*module.parameters(), *module.buffers())):
            raise InputError(f"norm {name!r} ({type(module).__name__}) cannot be folded: {reason}.")


def refuse_training(found: Mapping[str, nn.Module]) -> None:
    """Refuse norms that are in training mode in a model in evaluation mode.

    Raises:
        InputError: naming the first such norm.
    """
    for name, norm in found.items():
        if core(norm).training:
            raise InputError(
                f"norm {name!r} cannot be folded: it stays in training mode when the model is put in evaluation mode, "
                "since it is not a registered module or has a train method of its own."
            )


def refuse_uncalled(model: nn.Module, graph: Graph, found: Mapping[str, nn.Module]) -> None:
    """Refuse norms that the model does not call as modules, or not only so.

    Args:
        model: the model.
        graph: its calls.
        found: its norms, by name.

    Raises:
        InputError: naming the first such norm, and what the model does instead.
    """
    owners = list(layers(model))
    for name, norm in found.items():
        if graph.of(name) and name not in graph.read_outside:
            continue
        inside = [f"{outer!r} ({type(layer).__name__})" for outer, layer in owners if norm in layer.modules()]
        reason = "the model never calls it"
        if inside:
            reason = f"it is a part of the layer {inside[0]}, which calls it itself"
        elif name in graph.read_outside:
            reason = "the model uses its weights or statistics without calling it"
        raise InputError(f"norm {name!r} cannot be folded: {reason}.")


def remaining(model: nn.Module, graph: Graph) -> list[Change]:
    """What normalizes without a norm that can be taken over, by the code of the modules and by what they called."""
    kinds = dict(modules(model))
    called = [
        Change(
            "skipped",
            place.module,
            type(kinds[place.module]).__name__,
            reason=f"its code calls {place.operation}, which is no module",
        )
        for place in graph.functional_norms
    ]
    return list(dict.fromkeys((*left_alone(model), *called)))
