"""Norms at the layers of a model that has none."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Literal, get_args

from torch import nn

from normscope.errors import InputError, UnknownNameError
from normscope.generators import generators_kept
from normscope.nn import RMSNorm
from normscope.nn.channels_last import ChannelsLast
from normscope.nn.factory import NormSpec, resolved
from normscope.nn.module_kinds import Layer, channels_last, is_layer, is_norm, modules, sequence_first, sizes
from normscope.nn.module_kinds import layers as layers_of
from normscope.surgery._changes import Change, described, warn_of, with_changes
from normscope.surgery.copies import copied, device_and_dtype, exchanged
from normscope.surgery.replacing import made_at, new_each_time
from normscope.surgery.tracing import Graph, graph_of
from normscope.surgery.wrapping import NormedLayer

Place = Literal["after", "before"]

_WITHOUT_CALL = "its weights are used without calling it"
_OUTPUT = "it makes an output of the model"
_UNCALLED = "the model did not call it"
_ONE_VALUE = "it has one feature, of which a norm would leave nothing"


def insert_norms(
    model: nn.Module,
    spec: NormSpec,
    place: Place = "after",
    layers: Iterable[str] | None = None,
    x: Any = None,
) -> nn.Module:
    """A copy of the model with a norm at every convolution and linear layer except the output layer.

    The output layer is the last layer on the way to the output (one for each tensor that the model returns). Each other
    layer that the model calls becomes a :class:`~normscope.surgery.NormedLayer`: the layer and a norm, of its output
    channels after it or of its input channels before it. A linear layer's features come last, so its norm becomes a
    :class:`~normscope.surgery.ChannelsLast` unless the layer's output is known to have two dimensions. A shared layer
    gets one norm, which is shared too. A layer whose weights are used without a call, as attention uses its output
    projection, gets none, nor does a linear layer of one feature a norm of each token's features;
    :func:`~normscope.surgery.changes` lists both as skipped. A layer, group or RMS norm at a convolution averages over
    all positions: at a convolution over time, a model that was causal no longer is.

    Args:
        model: any module; it is not changed.
        spec: a spec for :func:`normscope.nn.make`, or a callable from a number of channels to a module.
        place: ``"after"`` or ``"before"`` each layer.
        layers: names of the layers that get a norm, among those that the model calls; by default all except the output
            layer.
        x: an input of the model (a tuple is its arguments, a mapping its keyword arguments); by default it is guessed
            from the first layer, if it is needed.

    Returns:
        the new model; :func:`~normscope.surgery.changes` lists what was inserted where, and the layers without one.

    Raises:
        UnknownNameError: for a place, a norm, an argument or a layer that does not exist.
        InputError: for a spec that cannot be read or built, for a model that cannot be copied or whose graph cannot be
            found.

    Warns:
        NormscopeWarning: if no layer gets a norm, or one gets none because its weights are used without calling it.
    """
    if place not in get_args(Place):
        raise UnknownNameError("place", str(place), get_args(Place))
    wanted = new_each_time(resolved(spec))
    after = copied(model)
    graph = graph_of(copied(model).eval(), x)
    turned = sequence_first(after)
    new: dict[nn.Module, nn.Module] = {}
    chosen = _chosen(after, graph, layers)
    done, left = [], [] if layers is not None else _left_out(after, graph, chosen)
    with generators_kept(model):
        for name, layer in chosen.items():
            count = sizes(layer)[0 if place == "before" else 1]
            norm = made_at(name, wanted, count).to(*device_and_dtype(layer, after))
            if channels_last(layer) and _of_one_value(norm, count):
                if layers is not None:
                    raise InputError(f"layer {name!r} cannot get a {type(norm).__name__}: {_ONE_VALUE}.")
                left.append(Change("skipped", name, type(layer).__name__, reason=_ONE_VALUE))
                continue
            inner = f"{name}.norm".lstrip(".")
            done.append(Change("inserted", inner, described(norm, count), place, name))
            dims = {graph.dims.get(value) for call in graph.of(name) for value in call.outputs}
            if channels_last(layer) and (dims != {2} or graph.assumed):
                norm = ChannelsLast(norm, layer in turned)
            new[layer] = NormedLayer(layer, norm, place).train(layer.training)
            norm.train(layer.training)
    named = [one for one in left if one.reason not in (_UNCALLED, _OUTPUT)]
    warn_of("insert_norms", model, done, named, "no layer to normalize")
    return with_changes(exchanged(after, new), done, model, left)


def _of_one_value(norm: nn.Module, count: int) -> bool:
    """Whether a norm of the channels of each token has one channel to normalize."""
    return count == 1 and isinstance(norm, nn.GroupNorm | nn.LayerNorm | nn.RMSNorm | RMSNorm)


def _left_out(model: nn.Module, graph: Graph, chosen: Collection[str]) -> list[Change]:
    """What gets no norm: output layers, layers that the model does not call, and weights of other modules."""
    found: list[tuple[str, nn.Module, str]] = []
    for name, module in modules(model):
        reason = _WITHOUT_CALL if name in graph.read_outside else _UNCALLED
        if is_layer(module) and name not in chosen:
            found.append((name, module, _OUTPUT if graph.of(name) else reason))
        elif reason == _WITHOUT_CALL and _multiplies(module):
            found.append((name, module, reason))
    return [Change("skipped", name, type(module).__name__, reason=reason) for name, module, reason in found]


def _multiplies(module: nn.Module) -> bool:
    """Whether a module that is no layer has a matrix of its own, such as attention's input projection."""
    if is_layer(module) or is_norm(module) or isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return False
    return any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))


def _chosen(model: nn.Module, graph: Graph, wanted: Iterable[str] | None) -> dict[str, Layer]:
    called = {name: layer for name, layer in layers_of(model) if graph.of(name)}
    if wanted is None:
        last = {_output_layer(graph, value, set(called)) for value in graph.outputs}
        return {name: layer for name, layer in called.items() if name not in last}
    if isinstance(wanted, str):
        raise InputError(f"layers must be a list of names such as [{wanted!r}], not a string.")
    names = list(wanted)
    for name in names:
        if name not in called:
            raise UnknownNameError("convolution or linear layer", name, called)
    return {name: called[name] for name in names}


def _output_layer(graph: Graph, value: int, called: Collection[str | None]) -> str | None:
    """The last called layer among those from which a value is computed."""
    wanted = {value}
    for call in reversed(graph.calls):
        if wanted.intersection(call.outputs):
            if call.layer in called:
                return call.layer
            wanted.update(call.inputs)
    return None
