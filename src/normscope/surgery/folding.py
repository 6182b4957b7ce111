"""A network for inference, without norms."""

from __future__ import annotations

from typing import Any

from torch import nn

from normscope.errors import InputError
from normscope.nn.module_kinds import norms
from normscope.surgery._changes import with_changes
from normscope.surgery.absorbing import absorb
from normscope.surgery.affine import inference_map
from normscope.surgery.copies import copied
from normscope.surgery.tracing import graph_of


def fold(model: nn.Module, x: Any = None) -> nn.Module:
    """A network without norms that computes what the model computes in evaluation mode.

    In evaluation mode, a norm that uses running statistics is an affine map per channel, ``y = a x + b``. For batch
    norm, ``a = γ/√(σ² + ε)`` and ``b = β − a μ``; the running statistics set the gates of a gated norm. The layer that
    makes the norm's input takes it over, ``w ← a w``, ``b ← a b + (β − a μ)``, if its output goes nowhere else.
    Otherwise the layer that uses the norm's output takes it over, if it uses nothing else and does not pad with zeros.
    Symbolic tracing finds these layers; if it fails, an observed run does. Norms become ``torch.nn.Identity`` and keep
    their names.

    Args:
        model: any module; it is not changed.
        x: an input of the model (a tuple is its arguments, a mapping its keyword arguments). By default it is guessed
            from the first layer, if it is needed; give one if a linear layer's output has more dimensions than a
            guessed input would show.

    Returns:
        the new model, in evaluation mode; :func:`~normscope.surgery.changes` lists what was folded into what.

    Raises:
        InputError: naming the norm, if it looks at its input in evaluation mode (group, layer and instance norms, batch
            norms without running statistics), if the model never calls it, or if no single layer can take it over
            exactly; and if the model's graph cannot be found.
    """
    after = copied(model).eval()
    maps = {name: inference_map(name, norm) for name, norm in norms(after)}
    if not maps:
        return with_changes(after, [], model)
    graph = graph_of(after, x)
    if idle := [name for name in maps if not graph.of(name)]:
        raise InputError(f"norm {idle[0]!r} cannot be folded: the model never calls it.")
    return with_changes(*absorb(after, graph, maps), model)
