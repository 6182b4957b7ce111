"""Norms taken over by the layers before or after them, where the graph shows that this is exact."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from normscope.errors import InputError
from normscope.nn.module_kinds import channels, channels_last, layers, modules, norms, sizes
from normscope.surgery._changes import Change, described
from normscope.surgery.copies import exchanged
from normscope.surgery.folding.affine import Affine
from normscope.surgery.folding.fixed_dims import FixedDims
from normscope.surgery.folding.merging import (
    into_consumer,
    into_producer,
    keeps_constants,
    uses_weights_plainly,
)
from normscope.surgery.removing import IdentityCopy
from normscope.surgery.tracing import Call, Graph, leaves_dims_open


def absorb(model: nn.Module, graph: Graph, maps: Mapping[str, Affine]) -> tuple[nn.Module, list[Change]]:
    """The model with ``torch.nn.Identity`` for each norm, and each norm's map in the weights of a layer.

    Args:
        model: any module; it is changed.
        graph: the calls of the model, or of a copy, in the wanted mode.
        maps: the affine map of each norm, by name.

    Returns:
        the model, or its replacement if it is itself a norm; and what was done.

    Raises:
        InputError: naming the norm that no layer can take over exactly, and why.
    """
    work = _Absorption(model, graph)
    found = dict(norms(model))
    new: dict[nn.Module, nn.Module] = {}
    done = []
    for name in dict.fromkeys(call.layer for call in graph.calls if call.layer in found):
        assert name is not None
        norm = found[name]
        into, place = work.take(name, norm, maps[name])
        new[norm] = place.train(norm.training)
        done.append(Change("folded", name, described(norm, channels(name, norm)), "into", into))
    return exchanged(model, new), done


class _Unfit(Exception):
    """The reason why a layer cannot take over a norm."""


class _Absorption:
    """The state of the work: which norms are gone, and which parameters belong to several modules."""

    def __init__(self, model: nn.Module, graph: Graph) -> None:
        self.graph = graph
        self.layers = dict(layers(model))
        self.gone: set[str] = set()
        self.dims_open = leaves_dims_open(model)
        owners: dict[nn.Parameter, int] = {}
        for _, module in modules(model):
            for parameter in module._parameters.values():
                if parameter is not None:
                    owners[parameter] = owners.get(parameter, 0) + 1
        self.tied = {parameter for parameter, count in owners.items() if count > 1}

    def take(self, name: str, norm: nn.Module, map_: Affine) -> tuple[str, nn.Module]:
        """Let a layer take over the norm; return the layer's name, and a module for the norm's place."""
        if norm._forward_hooks or norm._forward_pre_hooks:
            raise InputError(f"norm {name!r} cannot be folded: it has a hook, which would see other values.")
        shares = False
        try:
            into = self.producer(name, norm)
            into_producer(self.layers[into], map_)
        except _Unfit as before:
            try:
                into = self.consumer(name, norm, map_)
                into_consumer(self.layers[into], map_)
            except _Unfit as after:
                raise InputError(f"norm {name!r} cannot be folded: {before}, and {after}.") from None
            shares = self.shares_input(name)
        self.gone.add(name)
        if self.dims_open and channels_last(self.layers[into]) != channels_last(norm):
            return into, FixedDims(name, 2)
        return into, IdentityCopy() if shares else nn.Identity()

    def shares_input(self, name: str) -> bool:
        """Whether other calls use the norm's input, which they may change in place."""
        origins = {self.graph.origin(call.inputs[0], self.gone) for call in self.graph.of(name)}
        return any(use.layer != name for value in origins for use in self.graph.uses(value, self.gone))

    def producer(self, name: str, norm: nn.Module) -> str:
        """The one layer whose output goes to this norm and nowhere else."""
        calls = self.graph.of(name)
        sources = [self.graph.source(call.inputs[0], self.gone) for call in calls]
        layer = self._one_layer(sources, "its input comes from")
        for call in self.graph.of(layer):
            uses = [use for value in call.outputs for use in self.graph.uses(value, self.gone)]
            if others := [use for use in uses if use.layer != name]:
                raise _Unfit(f"the output of {layer!r} also goes to {_list(others)}")
        self._check(layer, norm, sizes(self.layers[layer])[1], channels(name, norm), calls)
        return layer

    def consumer(self, name: str, norm: nn.Module, map_: Affine) -> str:
        """The one layer that uses this norm's output and nothing else, if constants pass through it."""
        calls = self.graph.of(name)
        uses = [use for call in calls for value in call.outputs for use in self.graph.uses(value, self.gone)]
        layer = self._one_layer(uses, "its output goes to")
        sources = [
            self.graph.source(value, self.gone) for call in self.graph.of(layer) for value in call.inputs
        ]
        if others := [source for source in sources if source.layer != name]:
            raise _Unfit(f"{layer!r}, which uses its output, also uses that of {_list(others)}")
        module = self.layers[layer]
        if torch.any(map_.shift != 0) and not keeps_constants(module):
            raise _Unfit(f"{layer!r}, which uses its output, pads it with zeros that the norm does not see")
        self._check(layer, norm, sizes(module)[0], channels(name, norm), calls)
        return layer

    def _one_layer(self, calls: list[Call], words: str) -> str:
        names = {call.layer for call in calls}
        (name,) = names if len(names) == 1 else (None,)
        if name is None or name not in self.layers:
            raise _Unfit(
                f"{words} {_list(calls)}, not one convolution or linear layer"
                if calls
                else f"{words} nowhere"
            )
        return name

    def _check(self, name: str, norm: nn.Module, width: int, count: int, calls: list[Call]) -> None:
        layer = self.layers[name]
        for kind in ("weight", "bias"):
            if getattr(layer, kind) is not None and layer._parameters.get(kind) is None:
                raise _Unfit(f"the {kind} of {name!r} is computed, not a parameter of its own")
        if layer._forward_hooks or layer._forward_pre_hooks:
            raise _Unfit(f"{name!r} has a hook, which would see other values")
        if name in self.graph.read_outside or any(p in self.tied for p in layer.parameters(recurse=False)):
            raise _Unfit(f"the parameters of {name!r} are used elsewhere too")
        if width != count:
            raise _Unfit(f"{name!r} has {width} channels on that side, not {count}")
        if channels_last(layer) != channels_last(norm):
            dims = {self.graph.dims.get(call.inputs[0]) for call in calls}
            if channels_last(layer) and None in dims:
                raise _Unfit(f"the shape of the output of {name!r} is unknown: give an example input x")
            if dims != {2}:
                raise _Unfit(f"the channels of {name!r} are in another dimension than the norm's")
        if not uses_weights_plainly(layer):
            raise _Unfit(f"{name!r} ({type(layer).__name__}) does not use its weights as its base class does")


def _list(calls: list[Call]) -> str:
    return " and ".join(dict.fromkeys(call.label for call in calls))
