"""A network for inference, without norms."""

from __future__ import annotations

from typing import Any

from torch import nn

from normscope.errors import InputError
from normscope.nn.module_kinds import norms
from normscope.surgery._changes import warn_of, with_changes
from normscope.surgery.copies import copied, with_values
from normscope.surgery.folding.absorbing import absorb
from normscope.surgery.folding.affine import inference_map
from normscope.surgery.folding.refusals import refuse_norm_like, refuse_training, refuse_uncalled, remaining
from normscope.surgery.folding.verifying import refuse_difference
from normscope.surgery.skipping import left_alone
from normscope.surgery.tracing import graph_of


def fold(model: nn.Module, x: Any = None) -> nn.Module:
    """A network without norms that computes what the model computes in evaluation mode.

    In evaluation mode, a norm that uses running statistics is an affine map per channel, ``y = a x + b``. For batch
    norm, ``a = γ/√(σ² + ε)`` and ``b = β − a μ``; the running statistics set the gates of a gated norm. The layer that
    makes the norm's input takes it over, ``w ← a w``, ``b ← a b + (β − a μ)``, if its output goes nowhere else.
    Otherwise the layer that uses the norm's output takes it over, if it uses nothing else and does not pad with zeros.
    Symbolic tracing finds these layers; if it fails, an observed run does. Each norm becomes a ``torch.nn.Identity``
    and keeps its name. Where an input is known, given or guessed, the new network must agree with the model on it.

    The new network is exact for every input for which the model calls the same modules in the same order. A model whose
    code branches on the values of its input is therefore folded only with an ``x``, and exact for inputs that take the
    same branches. A linear layer takes over a batch norm for inputs (N, features) only; the new network refuses others.

    Args:
        model: any module; it is not changed.
        x: an input of the model (a tuple is its arguments, a mapping its keyword arguments). By default it is guessed
            from the first layer.

    Returns:
        the new model, in evaluation mode; :func:`~normscope.surgery.changes` lists what was folded into what, and what
        still normalizes.

    Raises:
        InputError: naming the norm, if it looks at its input in evaluation mode (group, layer and instance norms, batch
            norms without running statistics), if it stays in training mode, if the model does not call it as a module,
            or if no single layer can take it over exactly; if the model looks at the values of its input and ``x`` is
            not given; if the model's graph cannot be found; and if the outputs of both networks differ.

    Warns:
        NormscopeWarning: if there is no norm, or if the model computes a norm by a function, which stays.
    """
    after = with_values(copied(model)).eval()
    refuse_norm_like(after)
    found = dict(norms(after))
    refuse_training(found)
    maps = {name: inference_map(name, norm) for name, norm in found.items()}
    if not maps:
        left = left_alone(after)
        warn_of("fold", model, maps, left, "no norm")
        return with_changes(after, [], model, left)
    graph = graph_of(after, x)
    if x is None and graph.looks:
        raise InputError(
            f"{type(model).__name__} looks at the values of its input ({graph.looks}), so it may call other modules "
            "for other inputs: give an example input x."
        )
    refuse_uncalled(after, graph, found)
    left = remaining(after, graph)
    new, done = absorb(copied(after), graph, maps)
    if graph.example is not None:
        advice = ": give an example input x" if x is None else ""
        refuse_difference(after, new, graph.example, lambda wide, _: absorb(wide, graph, maps)[0], advice)
    warn_of("fold", model, done, left, "no norm")
    return with_changes(new, done, model, left)
