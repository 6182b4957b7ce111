"""The graph of a model by symbolic tracing, without an input."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn

from normscope.errors import InputError
from normscope.forward_pass import module_by_module
from normscope.generators import generators_kept
from normscope.nn.module_kinds import is_layer, is_norm
from normscope.surgery.copies import copied
from normscope.surgery.tracing.graph import Call, Graph, Place, norm_function, with_weights_of
from normscope.surgery.tracing.guessing import guessed_input
from normscope.surgery.tracing.overriding import is_overridden

# Operations whose output is their input.
_SAME = {"contiguous", "clone", "detach", "with_dims"}


class _Tracer(fx.Tracer):
    """A tracer that looks inside every module except layers, norms and the framework's modules that hold neither.

    It does not look inside a layer or a norm, whoever wrote it.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        # Found before the trace, in which reading an attribute of a module is an event.
        self.one_call = {module for module in model.modules() if _is_one_call(module)}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if m in self.one_call:
            return True
        return super().is_leaf_module(m, module_qualified_name) and self.one_call.isdisjoint(m.modules())


def symbolic_graph(model: nn.Module) -> Graph | None:
    """The graph of a model in its current mode; None if symbolic tracing fails, or would skip a hook or a method.

    The model is not changed. The numbers of dimensions come from a run on a guessed input; without a guess they are
    unknown.
    """
    if is_overridden(model):  # fx follows the forward of the root's class
        return None
    if any(module._forward_hooks or module._forward_pre_hooks for module in model.modules()):
        return None
    traced = copied(model)
    try:
        with generators_kept(model), module_by_module():
            graph = _Tracer(traced).trace(traced)
    except Exception:  # a user's forward may fail on symbols in any way
        return None
    try:
        x = guessed_input(model)
    except InputError:
        x = None
    return _graph(traced, graph, _dims(traced, graph, x), x)


class _Dims(fx.Interpreter):
    """Runs the graph and records the number of dimensions of every tensor."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.dims: dict[fx.Node, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, torch.Tensor):
            self.dims[n] = value.ndim
        return value


def _dims(model: nn.Module, graph: fx.Graph, x: Any) -> dict[fx.Node, int]:
    """The numbers of dimensions in a run on ``x``; only a tensor is tried."""
    if not isinstance(x, torch.Tensor):
        return {}
    interpreter = _Dims(fx.GraphModule(model, graph))
    try:
        with generators_kept(model), torch.no_grad(), module_by_module():
            interpreter.run(x)
    except Exception:  # the symbols took a way that no tensor takes: the numbers stay unknown
        return {}
    return interpreter.dims


def _graph(model: nn.Module, graph: fx.Graph, dims: dict[fx.Node, int], x: Any) -> Graph:
    number = {node: place for place, node in enumerate(graph.nodes)}
    calls = []
    outputs: tuple[int, ...] = ()
    read_outside = set()
    functional: dict[Place, None] = {}
    for node in graph.nodes:
        inputs = tuple(number[source] for source in node.all_input_nodes)
        if node.op == "output":
            outputs = inputs
        elif node.op == "get_attr":
            read_outside.add(_owner(node))
        elif node.op == "call_module":
            module = model.get_submodule(str(node.target))
            layer = str(node.target) if _is_one_call(module) else None
            calls.append(Call(repr(str(node.target)), layer, inputs, (number[node],), _passes(module)))
        elif node.op != "placeholder":
            label = _label(node)
            if norm := norm_function(label):
                functional[Place(norm, _where(node))] = None
            read = [_owner(source) for source in node.all_input_nodes if source.op == "get_attr"]
            of_layer = [name for name in read if _is_one_call(model.get_submodule(name))]
            named = with_weights_of(label, of_layer[0]) if of_layer else label
            calls.append(Call(named, None, inputs, (number[node],), _is_same(node, label)))
    return Graph(
        tuple(calls),
        outputs,
        frozenset(read_outside),
        {number[node]: count for node, count in dims.items()},
        tuple(functional),
        example=x,
    )


def _is_one_call(module: nn.Module) -> bool:
    """Whether the graph shows a module as a layer or a norm."""
    return is_layer(module) or is_norm(module)


def _label(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.name)


def _where(node: fx.Node) -> str:
    """Name of the innermost module whose code makes the node."""
    return str(next(reversed(node.meta.get("nn_module_stack", {"": None}))))


def _owner(attribute: fx.Node) -> str:
    return str(attribute.target).rpartition(".")[0]


def _passes(module: nn.Module) -> bool:
    if is_overridden(module):
        return False
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return not module.training or module.p == 0
    return type(module).forward is nn.Identity.forward


def _is_same(node: fx.Node, label: str) -> bool:
    if label.startswith("dropout"):
        return _argument(node, 2, "training") is False
    return label in _SAME


def _argument(node: fx.Node, place: int, name: str) -> Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name)
