"""A network for inference, without norms."""

from __future__ import annotations

from typing import Any

from torch import nn

from normscope.errors import InputError
from normscope.nn.kinds import norms
from normscope.surgery.absorbing import absorb
from normscope.surgery.affine import inference_map
from normscope.surgery.changes import noted
from normscope.surgery.copies import copied
from normscope.surgery.following import follow


def fold(model: nn.Module, x: Any = None) -> nn.Module:
    """A network without norms that computes what the model computes in evaluation mode.

    In evaluation mode a norm by running statistics is one affine map a channel, ``y = a x + b`` with
    ``a = γ/√(σ² + ε)`` and ``b = β − a μ`` for batch norm, by its running gates for a gated norm. The layer that
    makes the norm's input takes it over, ``w ← a w``, ``b ← a b + (β − a μ)``, where that output goes nowhere
    else; or else the layer that takes the norm's output, where it takes nothing else and does not pad with
    zeros. The layers beside a norm are found by symbolic tracing, or where that cannot follow by watching a
    run. Norms become ``torch.nn.Identity`` and keep their names.

    Args:
        model: any module; it is not changed.
        x: an input of the model to watch a run on (a tuple is its arguments, a mapping its keyword arguments). By
            default one is guessed from the first layer where it is needed; give one where a linear layer's output
            has more dimensions than such a guess shows.

    Returns:
        the new model, in evaluation mode; :func:`~normscope.surgery.changes` tells what was folded into what.

    Raises:
        InputError: naming the norm, for one that looks at its input in evaluation mode (group, layer and instance
            norms, batch norms without running statistics), that is never called, or that no single layer can
            take over exactly; and where no graph of the model can be had.
    """
    after = copied(model).eval()
    maps = {name: inference_map(name, norm) for name, norm in norms(after)}
    if not maps:
        return noted(after, [], model)
    graph = follow(after, x)
    if idle := [name for name in maps if not graph.of(name)]:
        raise InputError(f"norm {idle[0]!r} cannot be folded: the model never calls it.")
    return noted(*absorb(after, graph, maps), model)
