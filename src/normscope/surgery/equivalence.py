"""The un-normalized network at the same point (Morwani 2020)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from normscope.errors import InputError
from normscope.nn.module_kinds import norms
from normscope.surgery._changes import with_changes
from normscope.surgery.absorbing import absorb
from normscope.surgery.affine import Affine, batch_map
from normscope.surgery.copies import copied
from normscope.surgery.tracing import observed_graph


def equivalent_network(model: nn.Module, x: Any) -> nn.Module:
    """The network without norms whose output on the batch ``x`` is the model's in training mode.

    With a layer's weight and bias w and b, its norm's γ and β, and μ, σ² of this batch,

        w_eq = (γ/σ) w,   b_eq = (γ/σ)(b − μ) + β,   σ = √(σ² + ε)

    Each norm is measured in the model's own run on x, so the norm may be any that is an affine map per channel on this
    batch. A channel that is constant in the batch gets w_eq = 0 and b_eq = β. The layers that take over the norms are
    chosen as in :func:`~normscope.surgery.fold`.

    Args:
        model: any module; it is not changed, and its mode does not matter.
        x: the batch; a tuple is the model's arguments, a mapping its keyword arguments.

    Returns:
        the new model, in training mode; it agrees with the model on x if both draw the same random numbers (dropout).
        :func:`~normscope.surgery.changes` lists what was folded into what.

    Raises:
        InputError: naming the norm, if it treats samples differently (group and layer norms), if the model calls it
            never or more than once, or if no single layer can take it over exactly.

    Source: Morwani 2020, the equivalent point.
    """
    after = copied(model).train()
    maps: dict[str, Affine] = {}

    def measure(name: str, norm: nn.Module, batch: Tensor) -> None:
        if name in maps:
            raise InputError(
                f"norm {name!r} is called more than once, each time with other statistics, so it has no single "
                "equivalent."
            )
        maps[name] = batch_map(name, norm, batch)

    graph = observed_graph(copied(after), x, measure)
    if idle := [name for name, _ in norms(after) if name not in maps]:
        raise InputError(f"norm {idle[0]!r} has no equivalent: the model never calls it on this batch.")
    return with_changes(*absorb(after, graph, maps), model)
