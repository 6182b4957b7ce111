"""The un-normalized network at the same point (Morwani 2020)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from normscope.errors import InputError
from normscope.nn.module_kinds import core, norms
from normscope.surgery._changes import Change, warn_of, with_changes
from normscope.surgery.copies import copied, with_values
from normscope.surgery.folding.absorbing import absorb
from normscope.surgery.folding.affine import Affine, batch_map, inference_map
from normscope.surgery.folding.refusals import refuse_norm_like, refuse_uncalled, remaining
from normscope.surgery.folding.verifying import refuse_difference
from normscope.surgery.tracing import Graph, observed_graph


def equivalent_network(model: nn.Module, x: Any) -> nn.Module:
    """The network without norms whose output on the batch ``x`` is the model's in training mode.

    With a layer's weight and bias w and b, its norm's γ and β, and μ, σ² of this batch,

        w_eq = (γ/σ) w,   b_eq = (γ/σ)(b − μ) + β,   σ = √(σ² + ε)

    Each norm is measured in the model's own run on x, so the norm may be any that is an affine map per channel on this
    batch. A norm that stays in evaluation mode keeps its running statistics. A channel that is constant in the batch
    gets w_eq = 0 and b_eq = β. The layers that take over the norms are chosen as in :func:`~normscope.surgery.fold`.
    The new network must agree with the model on x.

    Args:
        model: any module; it is not changed, and its mode does not matter.
        x: the batch; a tuple is the model's arguments, a mapping its keyword arguments.

    Returns:
        the new model, in training mode; it agrees with the model on x if both draw the same random numbers (dropout).
        :func:`~normscope.surgery.changes` lists what was folded into what, and what still normalizes.

    Raises:
        InputError: naming the norm, if it treats samples differently (group and layer norms), if the model calls it
            never or more than once, or if no single layer can take it over exactly; and if the outputs of both networks
            differ.

    Warns:
        NormscopeWarning: if there is no norm, or if the model computes a norm by a function, which stays.

    Source: Morwani 2020, the equivalent point.
    """
    before = with_values(copied(model)).train()
    refuse_norm_like(before)
    new, done, graph = _equivalent(copied(before), x)
    refuse_difference(before, new, x, lambda wide, batch: _equivalent(wide, batch)[0])
    left = remaining(before, graph)
    warn_of("equivalent_network", model, done, left, "no norm")
    return with_changes(new, done, model, left)


def _equivalent(after: nn.Module, x: Any) -> tuple[nn.Module, list[Change], Graph]:
    """The model, changed into its equivalent; what was done; and its graph."""
    maps: dict[str, Affine] = {}

    def measure(name: str, norm: nn.Module, batch: Tensor) -> None:
        if not core(norm).training:  # a frozen norm, which stays in evaluation mode
            maps[name] = inference_map(name, norm)
            return
        if name in maps:
            raise InputError(
                f"norm {name!r} is called more than once, each time with other statistics, so it has no single "
                "equivalent."
            )
        maps[name] = batch_map(name, norm, batch)

    graph = observed_graph(copied(after), x, measure)
    refuse_uncalled(after, graph, dict(norms(after)))
    return *absorb(after, graph, maps), graph
